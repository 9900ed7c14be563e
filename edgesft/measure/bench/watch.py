"""Ends a measurement as soon as every row's limits are decided."""

from __future__ import annotations

from collections.abc import Mapping

from edgesft.budget.percentile import CONFIDENCE
from edgesft.budget.sequential import FIRST_LOOK, confidence_at, decide, rounds_at
from edgesft.measure.protocol import Rounds
from edgesft.spec.budget import BudgetSpec

NS_PER_MS = 1_000_000


class Watch:
    """Looks at all rows after 10, 20, 40 … rounds; at the last look all of them must be decided together.

    Attributes:
        limits: Percentile → most nanoseconds.
    """

    def __init__(self, budget: BudgetSpec, first: int = FIRST_LOOK) -> None:
        """A watch over the budget's limits on the latency; with none it never looks.

        Args:
            budget: Of every row.
            first: Rounds before the first look; each later one is at twice as many.
        """
        self.limits = {p: round(limit * NS_PER_MS) for p, limit in budget.latency_ms.limits().items()}
        self._first = first
        self._look = 1

    def stop(self, rows: Mapping[str, Rounds]) -> bool:
        """Whether all of them are decided; asked after each round."""
        if min(map(len, rows.values()), default=0) < rounds_at(self._look, self._first):
            return False
        decided = all(decide(taken, self.limits, self._look).verdict for taken in rows.values())
        self._look += not decided
        return decided

    @property
    def confidence(self) -> float:
        """Of the bounds at the look that was the last, or that the time which was up makes the last."""
        return confidence_at(self._look) if self.limits else CONFIDENCE
