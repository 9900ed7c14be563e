"""Check, preflight, plan, run, resume, keep what pays."""
