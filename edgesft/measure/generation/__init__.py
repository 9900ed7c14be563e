"""Generation, which takes many ONNX Runtime inferences: text token by token, and pictures step by step."""

from edgesft.measure.generation.decoder import Answer, Decoder
from edgesft.measure.generation.painter import Drawn, Painter
from edgesft.measure.generation.sampling import Sampling
from edgesft.measure.generation.speaker import Said, Speaker

__all__ = ["Answer", "Decoder", "Drawn", "Painter", "Said", "Sampling", "Speaker"]
