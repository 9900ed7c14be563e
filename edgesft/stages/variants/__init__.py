"""What a provider is given in place of a model: fixed shapes, fewer bits in the form that its kernels take."""

from edgesft.stages.variants.variants import PRECISIONS, Variants

__all__ = ["PRECISIONS", "Variants"]
