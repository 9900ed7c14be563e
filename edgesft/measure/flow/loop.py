"""What a flow is compared with: one thread that does one step after another, one row after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from edgesft.measure.flow.outcome import Outcome

Step = Callable[[Any], Any]
"""Takes what the step before it gave; the first one takes the row."""


def loop(
    rows: Iterable[Any], before: Step, run: Step, after: Step, clock: Callable[[], int] = time.perf_counter_ns
) -> list[Outcome]:
    """Takes each row from end to end; it arrives when the one before it is done.

    Args:
        rows: Raw rows.
        before: A row → feeds.
        run: Feeds → outputs.
        after: Outputs → the answer.
        clock: Nanoseconds, never going back.

    Returns:
        An outcome a row, in their order; what a step throws is its row's outcome.
    """
    outcomes = []
    for number, row in enumerate(rows):
        began = clock()
        try:
            value = after(run(before(row)))
        except Exception as error:
            outcomes.append(Outcome(number, "failed", began, began, clock(), error=error))
        else:
            outcomes.append(Outcome(number, "answered", began, began, clock(), value=value))
    return outcomes
