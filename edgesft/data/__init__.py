"""Reads, splits and checks labelled rows."""

from edgesft.data.places import digest
from edgesft.data.splits import Splits, load

__all__ = ["Splits", "digest", "load"]
