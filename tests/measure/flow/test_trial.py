from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edgesft.errors import InputError
from edgesft.measure.flow import Flow, paced, trial

MS = 1_000_000


class Time:
    """A clock that sleeping moves, a little too far as ever."""

    def __init__(self) -> None:
        self.now = 0

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9) + 50_000


def test_rows_come_at_a_fixed_rate_and_what_was_held_up_comes_at_once() -> None:
    time = Time()
    found = []
    for row in paced("abcde", 10 * MS, clock=time.clock, sleep=time.sleep):
        found.append((row, round(time.now / MS)))
        if row == "b":
            time.now += 25 * MS
    assert found == [("a", 0), ("b", 10), ("c", 35), ("d", 35), ("e", 40)]


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(InputError, match="interval_ns must be more than 0 nanoseconds, got 0"):
        paced([1], 0)
    with pytest.raises(InputError, match="interval_ns"):
        trial(Flow(str, [str], str, queue=1), [1], interval_ns=-1)


def test_a_trial_takes_all_rows_through_both() -> None:
    seen: list[int] = []

    def after(value: int) -> int:
        seen.append(value)
        return value

    found = trial(Flow(abs, [abs, abs], after, queue=2), range(40))
    assert found.loop is not None
    for report in (found, found.loop):
        assert (report.n, report.answered) == (40, 40) and report.throughput > 0
    assert sorted(seen) == sorted([0, 0, *range(40), *range(40)]), "the first row also warms both sessions up"
    assert found.speed_up is not None and found.speed_up > 0


def test_a_trial_at_a_rate_that_is_too_fast_drops_rows() -> None:
    came = threading.Event()

    class Rows(list[int]):
        passes = 0

        def __iter__(self) -> Iterator[int]:
            yield from super().__iter__()
            self.passes += 1
            if self.passes == 2:
                came.set()

    def before(row: int) -> int:
        assert threading.current_thread() is threading.main_thread() or came.wait(10)
        return row

    found = trial(Flow(before, [abs], abs, queue=2), Rows(range(10)), interval_ns=1)
    assert found.loop is not None and found.loop.answered == 10
    assert found.dropped + found.answered == 10 and found.answered <= 3, "two from the queue, and one from before them"


def test_a_trial_of_nothing_and_of_a_row_that_fails() -> None:
    assert trial(Flow(abs, [abs], abs, queue=1), []).n == 0
    found = trial(Flow(abs, [abs], abs, queue=1), ["x", -1])
    assert found.loop is not None and (found.failed, found.answered, found.loop.failed) == (1, 1, 1)
