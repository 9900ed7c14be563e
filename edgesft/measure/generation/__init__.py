"""Text on ONNX Runtime, token by token: the loop, how the next token is chosen, and words for both ends."""

from edgesft.measure.generation.decoder import Answer, Decoder
from edgesft.measure.generation.sampling import Sampling
from edgesft.measure.generation.speaker import Said, Speaker

__all__ = ["Answer", "Decoder", "Said", "Sampling", "Speaker"]
