"""Where a model's time goes, how far that is from what the machine can do, and what to try next."""
