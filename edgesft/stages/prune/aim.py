"""How far `latency: auto` aims to cut next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesft.stages.prune.search import WITHIN

STEP, LEAST = 0.7, 0.9
"""The share of latency that each cut aims to leave, and its square root once one went too far or cannot be had. What
would leave more than the latter is not tried, unless it meets the budget."""


@dataclass(frozen=True)
class Aim:
    """Where the search for the least latency stands.

    Attributes:
        ratio: Share of the input's latency that the last model which held has.
        step: Share of that which the next cut is to leave.
        missed: Whether one from there went too far, or could not be had.
    """

    ratio: float = 1.0
    step: float = STEP
    missed: bool = False

    def target(self, asked: float) -> float | None:
        """The share of the input's latency to cut to next; None where none is worth a training.

        Args:
            asked: Share at which the budget is met with a little to spare; 0 where it says nothing.
        """
        found = self.ratio * self.step if self.missed else self._further(asked)
        worth = found <= self.ratio * LEAST or (met(found, asked) and not met(self.ratio, asked))
        return found if worth else None

    def held(self, ratio: float) -> Aim:
        """After a cut that held, which has this share of the input's latency."""
        return Aim(ratio, self.step)

    def lost(self, target: float) -> Aim:
        """After a cut that did not: the next is half as far."""
        return Aim(self.ratio, math.sqrt(target / self.ratio), missed=True)

    def _further(self, asked: float) -> float:
        """What the budget asks for once that is within a step, half the way there where it is within two, else the next
        step.
        """
        if met(self.ratio, asked) or asked < self.ratio * self.step**2:
            return self.ratio * self.step
        near = min(self.step, LEAST**2)  # Half the way to what is nearer would not be tried.
        return asked if self.ratio * near <= asked else math.sqrt(self.ratio * asked)


def met(ratio: float, asked: float) -> bool:
    """Whether so little is as much as the budget asks for, with what was to spare or without."""
    return asked > 0 and ratio * (1 - WITHIN) <= asked
