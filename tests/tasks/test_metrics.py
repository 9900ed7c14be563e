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
    assert metrics.f1_macro(metrics.confusion(TRUTH, PREDICTED, 4)) == pytest.approx(expected)


def test_f1_macro_counts_a_class_that_is_only_predicted() -> None:
    assert metrics.f1_macro(metrics.confusion(np.array([0, 0]), np.array([0, 1]), 2)) == pytest.approx((2 / 3 + 0) / 2)
