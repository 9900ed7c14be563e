from __future__ import annotations

import numpy as np
import pytest

from edgesft.budget.bootstrap import student
from edgesft.budget.percentile import percentile
from edgesft.budget.ratio import ratio


def rounds(rng: np.random.Generator, scale: float, levels: np.ndarray, count: int = 15) -> list[list[int]]:
    """Skewed samples around each round's level."""
    return [list((scale * level * np.exp(0.1 * np.abs(rng.standard_normal(count)))).astype(int)) for level in levels]


def test_noise_that_both_share_cancels() -> None:
    rng = np.random.default_rng(0)
    levels = np.exp(0.5 * rng.standard_normal(20))
    found = ratio(rounds(rng, 1e6, levels), rounds(rng, 2e6, levels), 50)
    assert found.lower is not None and found.upper is not None
    assert found.lower < 0.5 < found.upper
    assert found.upper - found.lower < 0.1
    unpaired = ratio(rounds(rng, 1e6, levels), rounds(rng, 2e6, rng.permutation(levels)), 50)
    assert unpaired.upper is not None and unpaired.lower is not None
    assert unpaired.upper - unpaired.lower > 2 * (found.upper - found.lower)


def test_value_is_the_ratio_of_the_percentiles() -> None:
    a, b = [[1, 2, 3, 4]] * 5, [[10, 20, 30, 40]] * 5
    assert ratio(a, b, 50).value == percentile([1, 2, 3, 4], 50) / percentile([10, 20, 30, 40], 50)


def test_same_measurement_same_bounds() -> None:
    rng = np.random.default_rng(0)
    a, b = rounds(rng, 1e6, np.ones(8)), rounds(rng, 2e6, np.ones(8))
    assert ratio(a, b, 90) == ratio(a, b, 90)


def test_too_few_have_no_bounds() -> None:
    few_rounds = [[1] * 100] * 4
    assert ratio(few_rounds, few_rounds, 50)[1:] == (None, None)
    few_samples = [[1] * 5] * 10
    assert ratio(few_samples, few_samples, 95)[1:] == (None, None)
    assert ratio(few_samples, few_samples, 50)[1:] == (1.0, 1.0)


def test_rounds_must_pair() -> None:
    with pytest.raises(ValueError, match="got 5 and 6"):
        ratio([[1]] * 5, [[1]] * 6, 50)


def test_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many experiments whose rounds differ in level, each bound holds in about 95 %."""
    monkeypatch.setattr("edgesft.budget.ratio.RESAMPLES", 300)
    rng = np.random.default_rng(0)
    experiments, lower, upper = 300, 0, 0
    for _ in range(experiments):
        shared = np.exp(0.1 * rng.standard_normal(20))
        levels = (shared * np.exp(0.02 * rng.standard_normal(20)) for _ in range(2))
        found = ratio(rounds(rng, 1e6, next(levels)), rounds(rng, 2e6, next(levels)), 50)
        assert found.lower is not None and found.upper is not None
        lower += found.lower <= 0.5
        upper += found.upper >= 0.5
    assert 0.92 <= lower / experiments < 1
    assert 0.92 <= upper / experiments < 1


@pytest.mark.parametrize(("share", "freedom", "quantile"), [(0.95, 4, 2.1318), (0.95, 19, 1.7291), (0.99, 9, 2.8214)])
def test_student_is_the_printed_table(share: float, freedom: int, quantile: float) -> None:
    assert student(share, freedom) == pytest.approx(quantile, rel=2e-3)
