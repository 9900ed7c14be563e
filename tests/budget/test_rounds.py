from __future__ import annotations

import numpy as np
import pytest

from edgesft.budget import percentile
from edgesft.budget.rounds import ENOUGH_ROUNDS, Rounds, carry, effective, interval


def independent(rng: np.random.Generator, rounds: int = 20, count: int = 50) -> np.ndarray:
    """Log-normal nanoseconds; shape (rounds, count)."""
    return (5e6 * np.exp(0.2 * rng.standard_normal((rounds, count)))).astype(np.int64)


def wandering(rng: np.random.Generator, rounds: int = 20, count: int = 50, keep: float = 0.8) -> np.ndarray:
    """Rounds whose level is an autoregression from one to the next, with a little noise in each."""
    level = [rng.standard_normal()]
    for _ in range(rounds - 1):
        level.append(keep * level[-1] + (1 - keep**2) ** 0.5 * rng.standard_normal())
    noise = 0.05 * rng.standard_normal((rounds, count))
    return (5e6 * np.exp(0.1 * np.array(level)[:, None] + noise)).astype(np.int64)


def test_value_is_the_percentile_of_all_samples() -> None:
    taken = independent(np.random.default_rng(0))
    for p in (1, 50, 95, 99):
        assert interval(taken, p).value == percentile.percentile(taken.ravel(), p)


def test_independent_samples_get_hardly_wider_bounds_than_the_exact_ones() -> None:
    rng = np.random.default_rng(0)
    wider = []
    for _ in range(200):
        taken = independent(rng)
        exact, found = percentile.interval(taken.ravel(), 95), interval(taken, 95)
        assert found.lower <= exact.lower and found.upper >= exact.upper
        wider.append((found.upper - found.lower) / (exact.upper - exact.lower))
    assert np.mean(wider) < 1.35


def test_what_is_said_tenfold_counts_once() -> None:
    """Each sample of a round is repeated ten times in it: the number that tells is that before."""
    rng = np.random.default_rng(0)
    plain = [independent(rng, 40) for _ in range(50)]
    once = np.mean([effective(taken, 50) for taken in plain])
    tenfold = np.mean([effective(np.repeat(taken, 10, axis=1), 50) for taken in plain])
    assert 1400 < once <= 2000
    assert tenfold == pytest.approx(once, rel=0.25)


@pytest.mark.parametrize("p", [50, 95])
def test_bounds_hold_where_rounds_have_levels_of_their_own(p: int) -> None:
    """The exact bounds of independent samples fail here; these hold in at least 95 %."""
    rng = np.random.default_rng(0)
    true = 5e6 * np.exp({50: 0.0, 95: 1.6449}[p] * 0.1 * 2**0.5)
    lower = upper = naive = 0
    trials = 300
    for _ in range(trials):
        taken = 5e6 * np.exp(0.1 * (rng.standard_normal((40, 1)) + rng.standard_normal((40, 25))))
        found, exact = interval(taken.astype(np.int64), p), percentile.interval(taken.astype(np.int64).ravel(), p)
        lower += found.lower is None or found.lower <= true
        upper += found.upper is None or found.upper >= true
        naive += exact.lower <= true <= exact.upper
    assert min(lower, upper) / trials >= 0.95
    assert naive / trials < 0.75


def test_few_dependent_samples_have_bounds_far_out() -> None:
    """20 rounds that each say one thing are 20 samples, and p95 takes 59."""
    rng = np.random.default_rng(1)
    taken = np.repeat(independent(rng, 20, 1), 50, axis=1)
    found = interval(taken, 95)
    plain = percentile.interval(taken.ravel(), 95)
    assert found.upper is not None and plain.upper is not None and found.upper > 1.2 * plain.upper
    assert found.upper == Rounds.of(taken).outermost(95)[1]
    assert effective(taken, 95) < percentile.needed(95)


def hiccups(rng: np.random.Generator) -> np.ndarray:
    """Rounds whose levels differ by up to 0.4 % around 1 ms, each with one inference that takes 20 ms."""
    levels = 1 + 0.004 * rng.uniform(-1, 1, (10, 1))
    taken = 1e6 * levels * np.exp(0.002 * rng.standard_normal((10, 1700)))
    taken[np.arange(10), rng.integers(0, 1700, 10)] = 2e7
    return taken.astype(np.int64)


def test_a_hiccup_is_no_bound_of_a_median() -> None:
    """Of a few independent samples the greatest bounds the median; here those stand for thousands."""
    rng = np.random.default_rng(0)
    worth = []
    for _ in range(60):
        taken = hiccups(rng)
        found = interval(taken, 50, 0.975)
        worth.append(effective(taken, 50, 0.975))
        assert 0.9e6 < found.lower <= 1e6 <= found.upper < 1.1e6
    assert any(percentile.needed(50, 0.975) <= each <= 8 for each in worth)


def test_equal_medians_say_nothing_of_a_tail() -> None:
    """Each round has a tenth that is slow, so that each one's own p90 is fast; all samples together know better."""
    taken = [[1_000_000 + place for place in range(27)] + [20_000_000] * 3] * 5
    assert Rounds.of(taken).outermost(90)[1] < 2_000_000
    assert interval(taken, 90).upper == 20_000_000


def test_few_rounds_have_no_bounds() -> None:
    rng = np.random.default_rng(0)
    taken = independent(rng, 4, 500)
    assert interval(taken, 50)[1:] == (None, None)
    assert effective(taken, 50) == 0
    assert None not in interval(independent(rng, 5, 400), 50)


def test_smallest_n_remains() -> None:
    taken = [[1_000_000] * 10] * 5
    assert interval(taken, 50) == (1_000_000, 1_000_000, 1_000_000)
    assert interval(taken, 95).upper is None
    assert effective([[1_000_000] * 20] * 5, 95) == percentile.needed(95)
    assert interval([[1_000_000] * 20] * 5, 95).upper == 1_000_000


def test_a_coarse_clock_hides_no_slow_rounds() -> None:
    """Two of 20 rounds are slow throughout, and no two samples of a round differ."""
    taken = [[4_000_000 + 1000 * (number % 7)] * 50 for number in range(18)] + [[9_000_000] * 50] * 2
    assert interval(taken, 95).value == 9_000_000
    upper = interval(taken, 95).upper
    assert upper is not None and upper > 3 * 9_000_000
    assert effective(taken, 95) < 20


def test_rounds_need_samples_and_may_differ_in_size() -> None:
    with pytest.raises(ValueError, match="at least one sample, got none"):
        Rounds.of([[], []])
    ragged = [[3, 1, 2], [], [9], [4, 8, 6, 5]]
    taken = Rounds.of(ragged)
    assert taken.sizes.tolist() == [3, 1, 4]
    assert taken.medians.tolist() == [2, 9, 5]
    assert taken.values.tolist() == [1, 2, 3, 4, 5, 6, 8, 9]
    assert Rounds.of(taken) is taken


def test_one_sample_a_round_is_a_plain_series() -> None:
    rng = np.random.default_rng(0)
    clustering, lag = Rounds.of(independent(rng, 400, 1)).dependence(50)
    assert clustering == pytest.approx(1, abs=0.01)
    assert abs(lag) < 0.15
    assert Rounds.of(wandering(rng, 400, 1)).dependence(50).lag > 0.4


def test_rounds_that_wander_are_trusted_less() -> None:
    rng = np.random.default_rng(0)
    still = [Rounds.of(independent(rng)) for _ in range(100)]
    assert np.mean([taken.doubt > 0 for taken in still]) <= 0.02
    assert np.mean([taken.unlike for taken in still]) <= 0.04
    restless = [Rounds.of(wandering(rng)) for _ in range(50)]
    assert all(taken.unlike for taken in restless)
    assert np.mean([taken.independent for taken in restless]) < 8
    one = Rounds.of(wandering(rng, 10, keep=0.0))
    assert one.doubt == pytest.approx((one.medians.max() - one.medians.min()) / np.median(one.medians))
    found = interval(one, 50)
    assert found.lower < found.value * (1 - one.doubt / 2) and found.upper > found.value * (1 + one.doubt / 2)


def test_many_independent_rounds_speak_for_themselves() -> None:
    rng = np.random.default_rng(0)
    taken = Rounds.of(wandering(rng, 100, keep=0.0))
    assert taken.unlike and taken.independent >= ENOUGH_ROUNDS
    assert taken.doubt == 0


def test_carry() -> None:
    assert carry(0) == carry(-0.5) == 1
    assert carry(0.5) == 3
    assert carry(2) == pytest.approx(39)
