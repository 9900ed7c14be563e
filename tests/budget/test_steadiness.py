from __future__ import annotations

import numpy as np
import pytest

from edgesft.budget.steadiness import drift, steadiness, trend


def noisy(levels: np.ndarray, rng: np.random.Generator, sigma: float = 0.02, count: int = 50) -> np.ndarray:
    """Rounds of samples around a level each."""
    return (5e6 * levels[:, None] * np.exp(sigma * rng.standard_normal((len(levels), count)))).astype(np.int64)


def wander(rng: np.random.Generator, rounds: int, keep: float = 0.9) -> np.ndarray:
    """Levels that wander by about 10 %."""
    found = [rng.standard_normal()]
    for _ in range(rounds - 1):
        found.append(keep * found[-1] + (1 - keep**2) ** 0.5 * rng.standard_normal())
    return np.exp(0.1 * np.array(found))


def test_a_still_machine_has_no_problem() -> None:
    found = steadiness(noisy(np.ones(20), np.random.default_rng(0)))
    assert found.problems == ()
    assert found.grade == "A"
    assert found.drift == pytest.approx(1, abs=0.01)
    assert found.spread < 0.02
    assert not found.wandering


def test_drift_is_a_problem_where_it_matters() -> None:
    rng = np.random.default_rng(0)
    slower = steadiness(noisy(np.linspace(1, 1.2, 20), rng))
    assert slower.drift == pytest.approx(1.16, abs=0.02)
    assert slower.trend < 1e-6
    assert any("drifted by +1" in problem for problem in slower.problems)
    faster = steadiness(noisy(np.linspace(1.2, 1, 20), rng))
    assert any("drifted by -1" in problem for problem in faster.problems)
    slight = steadiness(noisy(np.linspace(1, 1.03, 40), rng, 0.002))
    assert slight.trend < 1e-6
    assert slight.problems == ()


def test_slow_wander_is_a_problem_and_ends_with_enough_rounds() -> None:
    rng = np.random.default_rng(0)
    short = [steadiness(noisy(wander(rng, 40), rng)) for _ in range(40)]
    assert np.mean([found.wandering for found in short]) > 0.9
    assert np.mean([bool(found.problems) for found in short]) > 0.9
    assert any("wandered slowly: 40 rounds" in " ".join(found.problems) for found in short)
    long = steadiness(noisy(wander(rng, 1200), rng))
    assert long.wandering
    assert long.problems == ()


def test_rounds_with_levels_of_their_own_spread_and_do_not_wander() -> None:
    rng = np.random.default_rng(0)
    found = [steadiness(noisy(wander(rng, 40, keep=0.0), rng)) for _ in range(40)]
    assert min(each.spread for each in found) > 0.05
    assert np.mean([each.wandering for each in found]) < 0.1


@pytest.mark.parametrize("kind", ["log-normal", "two modes", "heavy tail"])
def test_independent_samples_rarely_raise_an_alarm_over_all_looks(kind: str) -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(250):
        taken = np.exp(0.1 * rng.standard_normal((80, 25)))
        if kind == "two modes":
            taken *= np.where(rng.random(taken.shape) < 0.5, 2, 1)
        if kind == "heavy tail":
            taken *= rng.random(taken.shape) ** -0.7
        taken = (5e6 * taken).astype(np.int64)
        alarms += any(steadiness(taken[:rounds]).problems for rounds in (10, 20, 40, 80))
    assert alarms / 250 <= 0.02


@pytest.mark.parametrize(
    ("level", "warm", "grade"),
    [(1.0, True, "A"), (1.0, False, "B"), (1.1, True, "B"), (1.1, False, "B"), (1.3, True, "C"), (1.3, False, "C")],
)
def test_grade_is_the_worse_of_drift_spread_and_warm_up(level: float, warm: bool, grade: str) -> None:
    levels = np.concatenate([np.ones(15), np.full(5, level)])
    assert steadiness(noisy(levels, np.random.default_rng(0)), warm=warm).grade == grade
    spread = np.tile([1.0, level], 10)
    assert steadiness(noisy(spread, np.random.default_rng(0)), warm=warm).grade == grade


def test_drift_compares_the_last_quarter_with_the_first() -> None:
    assert drift([[100]] * 2 + [[500]] * 4 + [[150]] * 2) == 1.5
    assert drift([[100, 100]]) == 1


def test_trend_is_mann_and_kendall() -> None:
    """Ten rising values: S = 45, variance 125, z = 44 / sqrt(125)."""
    assert trend(range(10)) == pytest.approx(8.3e-5, rel=0.02)
    assert trend(range(10, 0, -1)) == trend(range(10))
    assert trend([5] * 10) == trend([7]) == 1
    assert trend([1, 2, 1, 2, 1, 2, 1, 2]) > 0.3
    assert steadiness([[5, 6], [7, 8]]).problems == ()


def test_trend_is_uniform_without_one() -> None:
    rng = np.random.default_rng(0)
    chances = np.array([trend(rng.standard_normal(15)) for _ in range(2000)])
    assert np.mean(chances < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(chances < 0.5) == pytest.approx(0.5, abs=0.06)
