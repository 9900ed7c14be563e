"""What answers are worth: one file a family of metrics."""
