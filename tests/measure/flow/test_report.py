from __future__ import annotations

import pytest

from edgesft.measure.flow import FlowReport, Outcome

MS = 1_000_000


def answered(number: int, arrival_ns: int, latency_ns: int, deadline_ns: int | None = None) -> Outcome:
    return Outcome(number, "answered", arrival_ns, arrival_ns, arrival_ns + latency_ns, deadline_ns, value=number)


def test_counts_latency_and_throughput() -> None:
    """100 rows, one a millisecond, that take 1 … 100 ms; three more are not answered, the last one long after."""
    answers = [answered(number, number * MS, (number + 1) * MS, (number + 90) * MS) for number in range(100)]
    others = [
        Outcome(100, "dropped", 5 * MS, None, 6 * MS),
        Outcome(101, "late", 5 * MS, None, 90 * MS),
        Outcome(102, "failed", 7 * MS, 8 * MS, 10**12, error=ValueError()),
    ]
    found = FlowReport.of([*reversed(answers), *others])
    assert (found.n, found.answered, found.dropped, found.late, found.failed) == (103, 100, 1, 1, 1)
    assert found.overdue == 10, "those that took 91 … 100 ms"
    assert found.latency_ns == {50: 50 * MS, 90: 90 * MS, 95: 95 * MS}, "99 needs 299 answers"
    assert found.wall_ns == 199 * MS
    assert found.throughput == pytest.approx(100 / 0.199)
    assert found.loop is None and found.speed_up is None


def test_speed_up_is_the_ratio_of_the_throughputs() -> None:
    loop = [answered(number, number * 4 * MS, 4 * MS) for number in range(10)]
    flow = [answered(number, number * MS, 11 * MS) for number in range(10)]
    found = FlowReport.of(flow, loop)
    assert found.loop is not None and found.loop.latency_ns == {50: 4 * MS}
    assert found.speed_up == pytest.approx(2.0)


def test_without_answers() -> None:
    assert FlowReport.of([]).throughput == 0
    none = FlowReport.of([Outcome(0, "dropped", 3, None, 9)], [Outcome(0, "failed", 3, 3, 9)])
    assert (none.n, none.answered, none.wall_ns, none.latency_ns, none.throughput) == (1, 0, 0, {}, 0)
    assert none.speed_up is None
    assert FlowReport.of([], [answered(0, 0, 5)]).speed_up == 0
