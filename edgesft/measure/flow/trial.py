"""Trying a flow on rows: as they come at a fixed rate, or as fast as it takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from edgesft.errors import InputError
from edgesft.measure.flow.flow import Flow
from edgesft.measure.flow.report import FlowReport

T = TypeVar("T")


def paced(
    rows: Iterable[T],
    interval_ns: int,
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[T]:
    """Gives rows at a fixed rate, as a camera does; what was held up is made up for at once.

    Args:
        rows: The first one is due at once.
        interval_ns: Nanoseconds from one row to the next.
        clock: Nanoseconds, never going back.
        sleep: Waits for some seconds.

    Raises:
        InputError: The interval is not positive.
    """
    if interval_ns <= 0:
        raise InputError(
            f"interval_ns must be more than 0 nanoseconds, got {interval_ns}", "33_333_333 for 30 a second"
        )

    def rows_in_time() -> Iterator[T]:
        due = clock()
        for row in rows:
            while (left := due - clock()) > 0:
                sleep(left / 1e9)
            yield row
            due += interval_ns

    return rows_in_time()


def trial(
    flow: Flow, rows: Sequence[Any], *, interval_ns: int | None = None, sleep: Callable[[float], None] = time.sleep
) -> FlowReport:
    """Takes rows through the plain loop, then through the flow, closes it, and reports both.

    Args:
        flow: Nothing was submitted to it yet.
        rows: Raw rows.
        interval_ns: Nanoseconds from one arrival to the next, where a row that finds the queue full drops the oldest;
            None for rows as fast as the queue takes them, where none is dropped.
        sleep: Waits for some seconds, between arrivals.

    Raises:
        InputError: The interval is not positive, or the flow is closed.
    """
    with flow:
        arrivals = rows if interval_ns is None else paced(rows, interval_ns, sleep=sleep)
        # What is wrong with the first row will be its outcome.
        with suppress(Exception):
            flow.warm_up(rows[0])
        alone = flow.loop(rows)
        for row in arrivals:
            flow.submit(row, block=interval_ns is None)
    return FlowReport.of(list(flow), alone)
