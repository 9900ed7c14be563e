"""Measures ONNX files, also ones that others made, on any providers: what `edgesft bench` does."""
