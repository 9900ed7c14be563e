"""Variants of a model that providers need: fixed shapes, or int8 in the form that their kernels support."""

from edgesft.stages.variants.variants import PRECISIONS, Variants

__all__ = ["PRECISIONS", "Variants"]
