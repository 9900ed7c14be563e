"""What a series of outcomes comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesft.budget.percentile import needed, percentile
from edgesft.measure.flow.outcome import Outcome

PERCENTS = (50, 90, 95, 99)
"""Percentiles that are told where there are enough answers to bound them."""


@dataclass(frozen=True)
class FlowReport:
    """Counts, latency and throughput of a series of rows.

    Attributes:
        n: Rows.
        answered: Rows with an answer.
        dropped: Rows that a newer one pushed out of the queue.
        late: Rows that no session took before their deadline.
        failed: Rows that a step threw at.
        overdue: Rows among the answered ones whose answer came after the deadline.
        latency_ns: Percent → nanoseconds from arrival to answer; without those that the answers are too few for.
        wall_ns: Nanoseconds from the first arrival to the last answer; 0 without answers.
        loop: The same of the plain loop, where there was one.
    """

    n: int
    answered: int
    dropped: int
    late: int
    failed: int
    overdue: int
    latency_ns: Mapping[int, int]
    wall_ns: int
    loop: FlowReport | None = None

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], loop: Sequence[Outcome] | None = None) -> FlowReport:
        """The report of outcomes.

        Args:
            outcomes: Of a flow, in any order; none is needed.
            loop: Of the plain loop over the same rows.
        """
        states = Counter(outcome.state for outcome in outcomes)
        answers = [outcome for outcome in outcomes if outcome.state == "answered"]
        samples = [outcome.latency_ns for outcome in answers]
        first = min((outcome.arrival_ns for outcome in outcomes), default=0)
        return cls(
            n=len(outcomes),
            answered=len(answers),
            dropped=states["dropped"],
            late=states["late"],
            failed=states["failed"],
            overdue=sum(outcome.overdue for outcome in answers),
            latency_ns={p: percentile(samples, p) for p in PERCENTS if len(samples) >= needed(p)},
            wall_ns=max((outcome.finished_ns for outcome in answers), default=first) - first,
            loop=None if loop is None else cls.of(loop),
        )

    @property
    def throughput(self) -> float:
        """Answers a second; 0 without answers."""
        return self.answered / max(1, self.wall_ns) * 1e9

    @property
    def speed_up(self) -> float | None:
        """Throughput as a multiple of the loop's; None without a loop that answered.

        Where rows come at a fixed rate that both can keep, it tells of that rate and not of the flow.
        """
        return self.throughput / self.loop.throughput if self.loop and self.loop.answered else None
