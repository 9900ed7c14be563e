"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.tasks import metrics

TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])


def test_confusion() -> None:
    expected = [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert metrics.confusion(TRUTH, PREDICTED, 4).tolist() == expected


def test_accuracy() -> None:
    assert metrics.accuracy(metrics.confusion(TRUTH, PREDICTED, 3)) == pytest.approx(4 / 6)


def test_f1_macro_leaves_out_classes_that_never_occur() -> None:
    # Class 0: 2·2 / (3 + 2); class 1: 2·1 / (2 + 2); class 2: 2·1 / (1 + 2).
    expected = (4 / 5 + 1 / 2 + 2 / 3) / 3
    counts = metrics.confusion(TRUTH, PREDICTED, 4)
    assert metrics.macro(counts, metrics.f1(counts)) == pytest.approx(expected)


def test_f1_macro_counts_a_class_that_is_only_predicted() -> None:
    counts = metrics.confusion(np.array([0, 0]), np.array([0, 1]), 2)
    assert metrics.macro(counts, metrics.f1(counts)) == pytest.approx((2 / 3 + 0) / 2)


def test_precision_and_recall_of_each_class() -> None:
    counts = metrics.confusion(TRUTH, PREDICTED, 4)
    assert metrics.precision(counts).tolist() == pytest.approx([1, 1 / 2, 1 / 2, 0])
    assert metrics.recall(counts).tolist() == pytest.approx([2 / 3, 1 / 2, 1, 0])
    assert metrics.weighted(counts, metrics.recall(counts)) == pytest.approx(metrics.accuracy(counts))


def test_top_counts_ties_against_the_truth() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    assert [metrics.top(logits, np.array([1, 0, 0]), k) for k in (1, 2, 3)] == pytest.approx([0, 2 / 3, 1])


def test_log_loss_and_calibration() -> None:
    chances = metrics.probabilities(np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])))
    truth = np.array([0, 1, 1])
    assert metrics.log_loss(chances, truth) == pytest.approx(-np.log([0.9, 0.2, 0.7]).mean())
    table = metrics.reliability(chances, truth)
    assert [each["rows"] for each in table] == [1, 1, 1]
    assert metrics.calibration_error(table) == pytest.approx((0.1 + 0.8 + 0.3) / 3)
    sure = metrics.reliability(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    assert sure == [{"rows": 4, "confidence": 1.0, "accuracy": 0.75}] and metrics.calibration_error(sure) == 0.25


def test_area_under_the_curve() -> None:
    positive = np.array([True, True, False, False])
    assert metrics.auc(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 1.0
    assert metrics.auc(np.array([1.0, 2.0, 3.0, 4.0]), positive) == 0.0
    assert metrics.auc(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
    assert metrics.auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == 0.75
    assert metrics.auc(np.ones(3), np.ones(3, bool)) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_has_the_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, scores = rng.random(200) < 0.3, rng.integers(0, 20, 200) / 20
    false, true, thresholds = metrics.roc(scores, positive)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(metrics.auc(scores, positive))
    place = len(thresholds) // 2
    assert true[place] == pytest.approx((scores[positive] >= thresholds[place]).mean())
