from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from edgesft.budget.percentile import bounds, interval, needed, percentile, ranks


def below(count: int, p: int, successes: int) -> Fraction:
    """P(B <= successes), exactly."""
    share = Fraction(p, 100)
    return sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(successes + 1))


def test_nearest_rank() -> None:
    assert percentile([15, 20, 35, 40, 50], 30) == 20
    assert percentile([15, 20, 35, 40, 50], 40) == 20
    assert percentile([15, 20, 35, 40, 50], 50) == 35
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([7], 1) == 7
    assert isinstance(percentile([3, 1, 2], 50), int)


@pytest.mark.parametrize(("samples", "p"), [([], 50), ([1], 0), ([1], 100)])
def test_refuses_what_has_no_percentile(samples: list[int], p: int) -> None:
    with pytest.raises(ValueError, match="percentile needs samples and p from 1 to 99"):
        percentile(samples, p)


@pytest.mark.parametrize(("p", "at_95", "at_99"), [(50, 5, 7), (90, 29, 44), (95, 59, 90), (99, 299, 459)])
def test_needed_is_the_published_table(p: int, at_95: int, at_99: int) -> None:
    assert (needed(p), needed(p, 0.99)) == (at_95, at_99)
    for confidence, least in ((0.95, at_95), (0.99, at_99)):
        assert bounds(range(least - 1), p, confidence)[1] is None
        assert bounds(range(least), p, confidence)[1] == least - 1


@pytest.mark.parametrize(("p", "at_95", "at_99"), [(50, 8, 11), (90, 46, 64), (95, 93, 130), (99, 473, 662)])
def test_second_highest_bounds_from_the_published_counts(p: int, at_95: int, at_99: int) -> None:
    """MLPerf LoadGen's early stopping with one discarded sample: 64 for p90, 662 for p99."""
    for confidence, least in ((0.95, at_95), (0.99, at_99)):
        assert ranks(least - 1, p, confidence)[1] == least - 1
        assert ranks(least, p, confidence)[1] == least - 1


@pytest.mark.parametrize("count", [1, 5, 29, 30, 59, 60, 100, 173, 299])
@pytest.mark.parametrize("p", [50, 90, 95, 99])
def test_ranks_are_the_tightest_that_hold(count: int, p: int) -> None:
    wanted = Fraction(95, 100)
    low, high = ranks(count, p, 0.95)
    if high is None:
        assert below(count, p, count - 1) < wanted
    else:
        assert below(count, p, high - 1) >= wanted
        assert high == 1 or below(count, p, high - 2) < wanted
    if low is None:
        assert 1 - below(count, p, 0) < wanted
    else:
        assert 1 - below(count, p, low - 1) >= wanted
        assert low == count or 1 - below(count, p, low) < wanted


def test_many_samples() -> None:
    """Against the normal approximation, which is good here: n p + 1.645 sqrt(n p (1 - p))."""
    low, high = ranks(100_000, 99, 0.95)
    assert low == pytest.approx(99_000 - 51.8, abs=2)
    assert high == pytest.approx(99_000 + 51.8, abs=2)


@pytest.mark.parametrize("p", [50, 90, 95])
def test_coverage(p: int) -> None:
    """Of many experiments with a skewed distribution, each bound holds in at least 95 %."""
    rng = np.random.default_rng(0)
    experiments, count = 4000, 120
    true = -np.log(1 - p / 100) * 1e6
    draws = (rng.exponential(1e6, (experiments, count))).astype(np.int64)
    found = [bounds(row, p) for row in draws]
    upper = np.mean([high is not None and high >= true for _, high in found])
    lower = np.mean([low is not None and low <= true for low, _ in found])
    error = 3 * (0.05 * 0.95 / experiments) ** 0.5
    assert 0.95 - error <= upper <= 0.99
    assert 0.95 - error <= lower <= 0.99


def test_interval_holds_value_and_bounds() -> None:
    samples = list(range(1, 101))
    assert interval(samples, 50) == (50, *bounds(samples, 50))
