"""After a budget that did not hold: the changes most likely to meet it, from what the run itself measured."""

from edgesft.report.suggest.suggest import SHOWN, expectation, suggestions

__all__ = ["SHOWN", "expectation", "suggestions"]
