"""Structured, physical pruning of transformers: plan, cut, recover."""

from edgesft.stages.prune.stage import run

__all__ = ["run"]
