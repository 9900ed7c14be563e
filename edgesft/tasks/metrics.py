"""Metrics over class indices, each from the confusion matrix alone."""

from __future__ import annotations

import numpy as np


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of every (true class, predicted class) pair.

    Args:
        truth: True class indices, shape [rows].
        predicted: Predicted class indices, shape [rows].
        classes: Number of classes.

    Returns:
        Integer counts, shape [classes, classes], true class first.
    """
    pairs = truth.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: np.ndarray) -> float:
    """Share of the rows on the diagonal of a confusion matrix."""
    return float(np.trace(counts) / counts.sum())


def f1_macro(counts: np.ndarray) -> float:
    """Unweighted mean of each class's F1 = 2·TP / (2·TP + FP + FN).

    Classes that occur neither among the true nor among the predicted ones are left out, as scikit-learn's
    `f1_score(average="macro")` does.
    """
    hits = np.diagonal(counts)
    seen = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(2 * hits[seen > 0] / seen[seen > 0]))
