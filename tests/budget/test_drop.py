from __future__ import annotations

import numpy as np
import pytest

from edgesft.budget.drop import drops, levels


def right(predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """Share of right answers where a prediction says whether it is right."""
    return {"accuracy": float(predictions.mean())}


def test_scorer_gets_predictions_of_the_rows_it_is_told() -> None:
    labels = np.arange(50) % 3
    reference, worse = labels.copy(), labels.copy()
    worse[:10] = (worse[:10] + 1) % 3

    def scorer(predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return {"accuracy": float((predictions == labels[rows]).mean()), "twice": 0.0}

    found = drops(scorer, reference, worse)
    assert found["accuracy"].value == pytest.approx(0.2)
    assert found["accuracy"].lower is not None and found["accuracy"].upper is not None
    assert 0.05 < found["accuracy"].lower < 0.2 < found["accuracy"].upper < 0.35
    assert levels(scorer, worse)["accuracy"].value == pytest.approx(0.8)
    assert set(found) == {"accuracy", "twice"}


def test_better_is_a_negative_drop() -> None:
    found = drops(right, np.repeat([0, 1], 50), np.ones(100))["accuracy"]
    assert found.value == -0.5
    assert found.upper is not None and found.upper < -0.35


def test_pairing_cancels_hard_rows() -> None:
    rng = np.random.default_rng(0)
    reference = (rng.random(400) < 0.7).astype(int)
    worse = reference.copy()
    worse[np.flatnonzero(worse)[:4]] = 0
    paired, alone = drops(right, reference, worse)["accuracy"], levels(right, worse)["accuracy"]
    assert paired.upper - paired.value < 0.5 * (alone.upper - alone.value)


def test_no_change_is_the_rule_of_three_and_not_certainty() -> None:
    found = drops(right, np.ones(100), np.ones(100))["accuracy"]
    assert found.value == 0
    assert found.upper == pytest.approx(3 / 100, abs=0.005)
    assert found.lower == pytest.approx(-3 / 100, abs=0.005)
    assert levels(right, np.ones(100))["accuracy"].upper == 1


def test_few_rows_have_no_bounds() -> None:
    assert drops(right, np.ones(4), np.zeros(4))["accuracy"] == (1.0, None, None)


def test_rows_must_pair() -> None:
    with pytest.raises(ValueError, match="got 3 and 4"):
        drops(right, np.ones(3), np.ones(4))


@pytest.mark.parametrize(("count", "lost", "gained"), [(100, 0.01, 0.0), (200, 0.03, 0.02), (60, 0.1, 0.05)])
def test_coverage(monkeypatch: pytest.MonkeyPatch, count: int, lost: float, gained: float) -> None:
    """Of many experiments each bound holds in at least 95 %, also where hardly any row changes."""
    monkeypatch.setattr("edgesft.budget.drop.RESAMPLES", 200)
    rng = np.random.default_rng(0)
    experiments, lower, upper = 200, 0, 0
    for _ in range(experiments):
        fate = rng.random(count)
        reference = np.where(fate < lost, 1, np.where(fate < lost + gained, 0, rng.random(count) < 0.9))
        judged = np.where(fate < lost, 0, np.where(fate < lost + gained, 1, reference))
        found = drops(right, reference, judged)["accuracy"]
        lower += found.lower <= lost - gained + 1e-12
        upper += found.upper >= lost - gained - 1e-12
    assert lower / experiments >= 0.93
    assert upper / experiments >= 0.93


def test_decibels_fall_by_any_number() -> None:
    before, after = np.full(40, 12.0), np.full(40, 9.0)
    after[::2] = 10.0
    found = drops(lambda given, rows: {"si_sdr": float(given.mean())}, before, after)["si_sdr"]
    assert found.value == pytest.approx(2.5)
    assert 2.3 < found.lower < 2.5 < found.upper < 2.7
