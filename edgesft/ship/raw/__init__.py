"""The raw model of a bundle: a text or a picture in, the answer out, all of it ONNX's own operators."""
