"""Checks models in CI: against limits, against a baseline, and against each other, with one form of result."""
