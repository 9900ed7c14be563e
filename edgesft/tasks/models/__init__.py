"""Models before a task uses them: checkpoint folders, factories of one's own, ONNX files that others made."""
