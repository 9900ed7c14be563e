"""Measures any ONNX files on any providers: what `edgesft bench` does."""
