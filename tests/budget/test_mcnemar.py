from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from edgesft.budget.drop import drops
from edgesft.budget.mcnemar import drop, judge, judge_bounds, paired
from edgesft.budget.percentile import Interval


def answers(rows: int, lost: int, gained: int) -> tuple[np.ndarray, np.ndarray]:
    """Of so many rows, what was right before and after; the rest are right both times but for the last row."""
    before, after = np.ones(rows, bool), np.ones(rows, bool)
    after[:lost] = before[lost : lost + gained] = False
    before[lost + gained :][-1:] = after[lost + gained :][-1:] = False
    return before, after


def test_counts_and_the_exact_test() -> None:
    found = paired(*answers(100, 10, 2))
    assert (found.rows, found.both, found.lost, found.gained) == (100, 87, 10, 2)
    assert found.drop.value == pytest.approx(0.08)
    # Of 12 throws of a coin: (1 + 12 + 66) / 4096 for 10 heads or more.
    assert found.p_worse == pytest.approx(79 / 4096)
    assert found.p_changed == pytest.approx(0.0386, abs=5e-5)
    assert found.to_json()["drop"] == {"value": found.drop[0], "lower": found.drop[1], "upper": found.drop[2]}


@pytest.mark.parametrize(("lost", "gained"), [(2, 10), (0, 5), (7, 7), (1, 0), (130, 90), (1000, 1100)])
def test_p_values_are_binomial_tails(lost: int, gained: int) -> None:
    found, throws = paired(*answers(3000, lost, gained)), lost + gained

    def tail(heads: int) -> float:
        return sum(math.comb(throws, k) for k in range(heads, throws + 1)) / 2**throws

    assert found.p_worse == pytest.approx(tail(lost), rel=1e-9)
    assert found.p_changed == pytest.approx(min(1, 2 * tail(max(lost, gained))), rel=1e-9)


def test_nothing_changed_proves_little() -> None:
    found = paired(np.ones(100, bool), np.ones(100, bool))
    assert (found.p_worse, found.p_changed) == (1, 1)
    assert found.drop.value == 0 and found.drop.upper == pytest.approx(3 / 100, abs=0.001)
    # What the bootstrap of other metrics says of the same rows.
    bootstrap = drops(lambda right, rows: {"accuracy": float(right.mean())}, np.ones(100), np.ones(100))["accuracy"]
    assert found.drop == pytest.approx(bootstrap, abs=0.003)


@pytest.mark.parametrize("rows", [1, 2, 7, 60, 5000])
def test_more_losses_more_drop(rows: int) -> None:
    cases = [(0, 2), (0, 1), (0, 0), (1, 0), (2, 0)]
    found = [drop(rows, lost, gained) for lost, gained in cases if lost + gained <= rows]
    for before, after in pairwise(found):
        assert before.lower <= after.lower and before.upper < after.upper
    assert all(-1 <= each.lower <= each.value <= each.upper <= 1 for each in found)
    for each, mirrored in zip(found, reversed(found), strict=True):
        assert each == pytest.approx((-mirrored.value, -mirrored.upper, -mirrored.lower), abs=1e-9)


def test_bounds_solve_the_score_test() -> None:
    """At a bound, half a row nearer, the difference is 1.645 of its deviations from the likeliest shares."""
    rows, lost, gained = 200, 12, 5
    bound = drop(rows, lost, gained).upper
    # The likeliest share of gains, given the drop, by trying many.
    gains = np.linspace(1e-9, 0.2, 400_001)
    likelihood = (
        lost * np.log(gains + bound) + gained * np.log(gains) + (rows - lost - gained) * np.log1p(-2 * gains - bound)
    )
    best = gains[likelihood.argmax()]
    deviation = math.sqrt(rows * (2 * best + bound - bound**2))
    assert (lost - gained + 0.5 - rows * bound) / deviation == pytest.approx(-1.645, abs=1e-3)


def test_many_rows_are_normal() -> None:
    rows, lost, gained = 100_000, 3000, 2500
    value, lower, upper = drop(rows, lost, gained)
    deviation = 1.645 * math.sqrt((lost + gained) / rows - value**2) / math.sqrt(rows)
    assert lower == pytest.approx(value - deviation, rel=0.02)
    assert upper == pytest.approx(value + deviation, rel=0.02)


@pytest.mark.parametrize(
    ("rows", "lost", "gained"),
    [(60, 0.02, 0.0), (60, 0.08, 0.02), (100, 0.05, 0.05), (150, 0.033, 0.004), (300, 0.0, 0.02), (500, 0.03, 0.01)],
)
def test_coverage(rows: int, lost: float, gained: float) -> None:
    """Of many experiments each bound holds in 95 % but for the point that is allowed to so few rows that differ."""
    rng = np.random.default_rng(0)
    experiments = rng.multinomial(rows, (lost, gained, 1 - lost - gained), 20_000)[:, :2]
    seen, counts = np.unique(experiments, axis=0, return_counts=True)
    bounds = [drop(rows, int(each[0]), int(each[1])) for each in seen]
    held = np.array([(found.lower <= lost - gained, found.upper >= lost - gained) for found in bounds])
    lower, upper = counts @ held / counts.sum()
    assert min(lower, upper) >= 0.936


@pytest.mark.parametrize("differing", [2, 5, 12, 40])
@pytest.mark.parametrize("limit", [0.0, 0.01])
def test_equal_models_rarely_fail(differing: int, limit: float) -> None:
    rng, rows = np.random.default_rng(1), 400
    share = differing / rows / 2
    experiments = rng.multinomial(rows, (share, share, 1 - 2 * share), 20_000)[:, :2]
    seen, counts = np.unique(experiments, axis=0, return_counts=True)
    failed = [judge("accuracy", limit, paired(*answers(rows, *each))).verdict == "fail" for each in seen]
    assert counts @ np.array(failed) / counts.sum() <= 0.05


@pytest.mark.parametrize(
    ("rows", "lost", "gained", "limit", "verdict"),
    [
        (1000, 0, 0, 0.0, "pass"),
        (1000, 12, 2, 0.01, "pass"),
        (1000, 5, 12, 0.0, "pass"),
        (1000, 12, 1, 0.01, "fail"),
        (1000, 80, 20, 0.01, "fail"),
        (1000, 30, 18, 0.01, "inconclusive"),
        (50, 1, 0, 0.01, "inconclusive"),
    ],
)
def test_verdicts(rows: int, lost: int, gained: int, limit: float, verdict: str) -> None:
    line = judge("accuracy", limit, paired(*answers(rows, lost, gained)))
    assert (line.name, line.limit, line.verdict) == ("accuracy", limit, verdict)
    assert line.value == pytest.approx((lost - gained) / rows)
    assert (line.reason is None) == (verdict == "pass")
    assert line.reason is None or f"{lost} of {rows} rows lost, {gained} gained" in line.reason


def test_a_limit_that_is_met_exactly_holds() -> None:
    assert judge("accuracy", 0.1, paired(*answers(30, 3, 0))).verdict == "pass"


def test_inconclusive_tells_how_many_rows_would_decide() -> None:
    line = judge("accuracy", 0.01, paired(*answers(50, 1, 0)))
    assert "p=0.5" in line.reason and "about 230 rows" in line.reason
    # So many rows at that rate do decide: 5 lost of them, where 4 would be chance.
    assert judge("accuracy", 0.01, paired(*answers(230, 5, 0))).verdict == "fail"
    assert paired(*answers(230, 4, 0)).p_worse > 0.05


def test_a_lower_bound_above_the_limit_says_so() -> None:
    assert "lower bound" in judge("accuracy", 0.0, paired(*answers(100, 20, 2))).reason
    assert "more than chance" in judge("accuracy", 0.01, paired(*answers(1000, 12, 1))).reason


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Interval(0.005, -0.1, 0.1), "pass"),
        (Interval(0.02, 0.001, 0.04), "fail"),
        (Interval(0.02, 0.0, 0.04), "inconclusive"),
        (Interval(0.02, -0.01, 0.05), "inconclusive"),
        (Interval(0.5, None, None), "inconclusive"),
    ],
)
def test_metrics_that_are_no_share_of_rows_go_by_their_bounds(found: Interval, verdict: str) -> None:
    line = judge_bounds("f1_macro", 0.01, found)
    assert (line.name, line.verdict, line.value, line.upper) == ("f1_macro", verdict, found.value, found.upper)
    assert bool(line.reason) == (verdict == "inconclusive")


def test_rows_must_pair() -> None:
    with pytest.raises(ValueError, match=r"got \(3,\) and \(4,\)"):
        paired(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="at least one"):
        paired(np.ones(0, bool), np.ones(0, bool))
