"""From data and a model to a recipe: what they are, and a commented file that runs."""

from edgesft.pipeline.draft.recipe import Draft, draft
from edgesft.pipeline.draft.wishes import Wishes

__all__ = ["Draft", "Wishes", "draft"]
