from __future__ import annotations

import numpy as np
import pytest

from edgesft.budget.lines import Facts, judge
from edgesft.budget.rounds import interval
from edgesft.budget.sequential import confidence_at, decide, rounds_at
from edgesft.spec.budget import BudgetSpec

MS = 1_000_000


def taken(rounds: int = 10, level: np.ndarray | float = 1.0, seed: int = 0) -> np.ndarray:
    """Log-normal rounds around 5 ms; p50 is 5 ms and p95 about 5.9 ms."""
    rng = np.random.default_rng(seed)
    noise = np.exp(0.1 * rng.standard_normal((rounds, 50)))
    return (5 * MS * noise * np.broadcast_to(level, (rounds,))[:, None]).astype(np.int64)


def test_what_is_spent_over_all_looks_is_what_is_stated() -> None:
    for confidence in (0.9, 0.95, 0.99):
        spent = [1 - confidence_at(look, confidence) for look in range(1, 40)]
        assert sum(spent) <= 1 - confidence + 1e-9
        assert sum(spent) == pytest.approx(1 - confidence)
    assert [rounds_at(look) for look in (1, 2, 3)] == [10, 20, 40]


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({50: 6 * MS}, "pass"),
        ({50: 4 * MS}, "fail"),
        ({50: 5 * MS}, None),
        ({50: 6 * MS, 95: 7 * MS}, "pass"),
        ({50: 6 * MS, 95: 5 * MS}, "fail"),
        ({50: 5 * MS, 95: 5 * MS}, "fail"),
        ({50: 6 * MS, 95: 5_900_000}, None),
        ({50: 6 * MS, 99: 9 * MS}, "pass"),
        ({50: 6 * MS, 99: 6 * MS}, None),
        ({}, None),
    ],
)
def test_one_failing_limit_decides_and_all_must_pass(limits: dict[int, int], verdict: str | None) -> None:
    found = decide(taken(), limits, 1)
    assert found.verdict == verdict
    assert list(found.intervals) == list(limits)
    assert found.next_rounds == 20
    assert found.confidence == (0.975 if limits else 0.95)


def test_bounds_are_those_of_the_look() -> None:
    samples = taken(40)
    third = decide(samples, {95: 6 * MS}, 3)
    assert third.confidence == pytest.approx(0.99375)
    assert third.intervals[95] == interval(samples, 95, third.confidence)
    first = decide(samples, {95: 6 * MS}, 1)
    assert third.intervals[95].upper > first.intervals[95].upper


def test_more_rounds_decide_what_few_leave_open() -> None:
    limits = {95: 6_000_000}
    assert decide(taken(10), limits, 1).verdict is None
    assert decide(taken(320), limits, 6).verdict == "pass"


def test_an_unsteady_machine_decides_nothing() -> None:
    drifting = taken(20, np.linspace(1, 1.3, 20))
    found = decide(drifting, {50: 20 * MS}, 2)
    assert found.steadiness.problems
    assert found.verdict is None


def test_the_warm_up_is_part_of_the_grade() -> None:
    assert decide(taken(), {50: 6 * MS}, 1).steadiness.grade == "A"
    assert decide(taken(), {50: 6 * MS}, 1, warm=False).steadiness.grade == "B"


@pytest.mark.parametrize("limit", [4.0, 5.0, 5.9, 6.1, 6.5, 7.0])
def test_the_budget_is_judged_as_the_look_was(limit: float) -> None:
    samples = taken(20)
    found = decide(samples, {95: int(limit * MS)}, 2)
    facts = Facts(
        size_bytes=1,
        rounds=samples.tolist(),
        confidence=found.confidence,
        unsteady=found.steadiness.problems,
    )
    (line,) = judge(BudgetSpec.model_validate({"latency_ms": {"p95": limit}}), facts)
    assert line.verdict == (found.verdict or "inconclusive")
    assert line.upper * MS == pytest.approx(found.intervals[95].upper)


def test_stopping_early_keeps_the_stated_confidence() -> None:
    """A limit just above the truth tempts each look to pass too early: naively 95 % at each look fails more often."""
    rng = np.random.default_rng(0)
    trials, careful, naive = 400, 0, 0
    for _ in range(trials):
        samples = (5 * MS * np.exp(0.1 * rng.standard_normal((80, 20)))).astype(np.int64)
        looks = [(look, samples[: rounds_at(look)]) for look in range(1, 5)]
        careful += any(interval(some, 50, confidence_at(look)).upper < 5 * MS for look, some in looks)
        naive += any(interval(some, 50, 0.9).upper < 5 * MS for _, some in looks)
    assert careful / trials <= 0.05
    assert naive / trials > 0.10
