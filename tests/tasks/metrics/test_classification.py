"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.tasks.metrics import classification

TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])


def test_confusion() -> None:
    expected = [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert classification.confusion(TRUTH, PREDICTED, 4).tolist() == expected


def test_accuracy() -> None:
    assert classification.accuracy(classification.confusion(TRUTH, PREDICTED, 3)) == pytest.approx(4 / 6)


def test_f1_macro_leaves_out_classes_that_never_occur() -> None:
    # Class 0: 2·2 / (3 + 2); class 1: 2·1 / (2 + 2); class 2: 2·1 / (1 + 2).
    expected = (4 / 5 + 1 / 2 + 2 / 3) / 3
    counts = classification.confusion(TRUTH, PREDICTED, 4)
    assert classification.macro(counts, classification.f1(counts)) == pytest.approx(expected)


def test_f1_macro_counts_a_class_that_is_only_predicted() -> None:
    counts = classification.confusion(np.array([0, 0]), np.array([0, 1]), 2)
    assert classification.macro(counts, classification.f1(counts)) == pytest.approx((2 / 3 + 0) / 2)


def test_precision_and_recall_of_each_class() -> None:
    counts = classification.confusion(TRUTH, PREDICTED, 4)
    assert classification.precision(counts).tolist() == pytest.approx([1, 1 / 2, 1 / 2, 0])
    assert classification.recall(counts).tolist() == pytest.approx([2 / 3, 1 / 2, 1, 0])
    assert classification.weighted(counts, classification.recall(counts)) == pytest.approx(
        classification.accuracy(counts)
    )


def test_top_counts_ties_against_the_truth() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    assert [classification.top(logits, np.array([1, 0, 0]), k) for k in (1, 2, 3)] == pytest.approx([0, 2 / 3, 1])


def test_what_is_no_number_is_wrong() -> None:
    logits = np.array([[np.nan, 0.0, 1.0], [np.nan] * 3, [0.0, np.nan, 9.0], [0.0, 1.0, 2.0]])
    truth = np.array([0, 0, 2, 2])
    assert (classification.highest(logits, truth) == truth).tolist() == [False, False, False, True]
    assert [classification.top(logits, truth, k) for k in (1, 2)] == [0.25, 0.25]


def test_log_loss_and_calibration() -> None:
    chances = classification.probabilities(np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])))
    truth = np.array([0, 1, 1])
    assert classification.log_loss(chances, truth) == pytest.approx(-np.log([0.9, 0.2, 0.7]).mean())
    table = classification.reliability(chances, truth)
    assert [each["rows"] for each in table] == [1, 1, 1]
    assert classification.calibration_error(table) == pytest.approx((0.1 + 0.8 + 0.3) / 3)
    sure = classification.reliability(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    assert sure == [{"rows": 4, "confidence": 1.0, "accuracy": 0.75}] and classification.calibration_error(sure) == 0.25


def test_area_under_the_curve() -> None:
    positive = np.array([True, True, False, False])
    assert classification.auc(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 1.0
    assert classification.auc(np.array([1.0, 2.0, 3.0, 4.0]), positive) == 0.0
    assert classification.auc(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
    assert classification.auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == 0.75
    assert classification.auc(np.ones(3), np.ones(3, bool)) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_has_the_area(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, scores = rng.random(200) < 0.3, rng.integers(0, 20, 200) / 20
    false, true, thresholds = classification.roc(scores, positive)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(classification.auc(scores, positive))
    place = len(thresholds) // 2
    assert true[place] == pytest.approx((scores[positive] >= thresholds[place]).mean())
