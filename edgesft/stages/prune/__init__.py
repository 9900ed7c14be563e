"""Structured, physical pruning of transformers: plan, cut, recover."""

from edgesft.stages.prune.run import run

__all__ = ["run"]
