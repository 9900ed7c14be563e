"""Suggestions after a budget that was not met: the changes most likely to meet it, based on what the run measured."""

from edgesft.report.suggest.suggest import SHOWN, expectation, suggestions

__all__ = ["SHOWN", "expectation", "suggestions"]
