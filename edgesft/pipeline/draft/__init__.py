"""Writes a commented recipe for given data and a given model."""

from edgesft.pipeline.draft.recipe import Draft, draft
from edgesft.pipeline.draft.wishes import Wishes

__all__ = ["Draft", "Wishes", "draft"]
