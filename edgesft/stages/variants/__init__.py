"""What a provider is given in place of a model: fixed shapes, fewer bits in the form that its kernels take."""

from edgesft.stages.variants.shapes import fix_shapes, sizes_of
from edgesft.stages.variants.variants import PRECISIONS, Variants

__all__ = ["PRECISIONS", "Variants", "fix_shapes", "sizes_of"]
