"""Random changes to training rows: one file a kind of input."""
