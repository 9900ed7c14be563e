from __future__ import annotations

import pytest

from edgesft.budget.sequential import confidence_at
from edgesft.measure.bench.watch import Watch
from edgesft.spec.budget import BudgetSpec

MS = 1_000_000


def rounds(count: int, ns: int, size: int = 30) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(ns + (place * 7 + number * 3) % 11 for place in range(size)) for number in range(count))


def test_it_ends_when_every_row_is_decided() -> None:
    watch = Watch(BudgetSpec(latency_ms={"p50": 5}))
    assert not watch.stop({"a": rounds(9, MS), "b": rounds(9, MS)}), "the first look is after ten rounds"
    assert watch.stop({"a": rounds(10, MS), "b": rounds(10, 9 * MS)}), "one holds, the other does not"
    assert watch.confidence == confidence_at(1)


def test_an_open_row_takes_a_later_look_of_more_confidence() -> None:
    watch = Watch(BudgetSpec(latency_ms={"p50": 1}))
    at_the_limit = tuple(tuple(MS - 5 + (place * 7 + number * 3) % 11 for place in range(30)) for number in range(20))
    assert not watch.stop({"a": rounds(10, MS // 2), "b": at_the_limit[:10]})
    assert watch.confidence == confidence_at(2) > confidence_at(1)
    assert not watch.stop({"a": rounds(19, MS // 2), "b": at_the_limit[:19]}), "the next look is after twenty"
    assert watch.confidence == confidence_at(2)


def test_without_limits_on_the_latency_it_is_never_asked() -> None:
    watch = Watch(BudgetSpec(size_mb=1))
    assert watch.limits == {} and watch.confidence == pytest.approx(0.95)


def test_looks_begin_when_all_rounds_are_taken_where_that_is_asked() -> None:
    watch = Watch(BudgetSpec(latency_ms={"p50": 5}), 25)
    assert not watch.stop({"a": rounds(24, MS)}) and watch.confidence == confidence_at(1)
    assert watch.stop({"a": rounds(25, MS)})
