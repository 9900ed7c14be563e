"""Temperature, threshold, and how well unknown inputs are told from known ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgesft.tasks.metrics import calibration, classification


def sampled(rows: int, heat: float, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sure by a factor, and classes drawn by what they should say."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, classes)) * 2
    chances = classification.probabilities(logits)
    truth = (chances.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return logits * heat, truth


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_temperature_is_what_made_them_too_sure(heat: float) -> None:
    logits, truth = sampled(20_000, heat)
    assert calibration.temperature(logits, truth) == pytest.approx(heat, rel=0.05)


def test_temperature_lowers_the_calibration_error() -> None:
    logits, truth = sampled(5000, 3.0)
    cooled = logits / calibration.calibrate(logits, truth)["temperature"]
    before, after = (
        classification.calibration_error(classification.reliability(classification.probabilities(each), truth))
        for each in (logits, cooled)
    )
    assert after < 0.03 < before


def test_temperature_is_bounded_where_all_is_right() -> None:
    assert calibration.temperature(np.eye(4), np.arange(4)) == pytest.approx(1 / calibration.HOTTEST)


def test_known_is_the_log_of_the_sum_less_what_all_have_in_common() -> None:
    logits = np.log([[1.0, 2.0, 4.0], [8.0, 8.0, 8.0]])
    assert calibration.known(logits) == pytest.approx([np.log(7 / 2), np.log(3)])
    assert calibration.known(logits + 700) == pytest.approx(calibration.known(logits))


def test_of_two_classes_known_orders_as_the_probability_does() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 2)) * 3
    by_chance = classification.probabilities(logits).max(axis=1)
    assert (calibration.known(logits).argsort() == by_chance.argsort()).all()


def test_the_threshold_accepts_95_percent() -> None:
    logits = np.random.default_rng(0).normal(size=(1000, 3))
    threshold = calibration.calibrate(logits, np.zeros(1000, int))["accept_above"]
    assert (calibration.known(logits) >= threshold).mean() == pytest.approx(0.95, abs=0.002)


def test_open_world() -> None:
    inside = np.asarray([[9.0, 0], [0, 9], [8, 0], [0, 2]])
    outside = np.asarray([[1.0, 1], [3, 0]])
    told = calibration.open_world(inside, outside, 3.0)
    json.dumps(told, allow_nan=False)
    assert (told["auroc"], told["rows"]) == (7 / 8, 2)
    assert told["fpr95"] == 0.5, "one is above the least of the known rows"
    assert (told["accepted_known"], told["accepted_unknown"]) == (0.75, 0.0)


def test_what_is_no_number_is_lowest() -> None:
    values = calibration.finite(np.asarray([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]))
    assert values.argmax(axis=1).tolist() == [2, 0]
    assert np.isfinite(values).all()
