"""Budgets, percentile bounds, comparisons and verdicts: statistics without input or output."""
