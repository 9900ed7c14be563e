"""Labelled rows: read, split, checked, digested."""

from edgesft.data.splits import Splits, digest, load

__all__ = ["Splits", "digest", "load"]
