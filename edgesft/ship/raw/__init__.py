"""The raw model of a bundle: one ONNX graph from text or picture to answer, in standard operators only."""
