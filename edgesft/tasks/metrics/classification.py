"""Metrics over class indices, each from the confusion matrix alone; and those that need the scores of the classes."""

from __future__ import annotations

import numpy as np

from edgesft.tasks.metrics.unanswered import unanswered

BINS = 15
"""Of the calibration error, as Guo et al. 2017 (arXiv 1706.04599) have it."""


def highest(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Index of the highest class of each row; of a row with NaN, which answers nothing, one that is wrong.

    Args:
        logits: Shape [rows, classes].
        truth: True class indices, shape [rows].
    """
    return np.where(unanswered(logits), (truth + 1) % logits.shape[1], logits.argmax(axis=1))


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


def precision(counts: np.ndarray) -> np.ndarray:
    """Of each class, TP / (TP + FP); 0 where nothing was predicted to be it, as scikit-learn has it."""
    return _ratio(np.diagonal(counts), counts.sum(axis=0))


def recall(counts: np.ndarray) -> np.ndarray:
    """Of each class, TP / (TP + FN); 0 where no row is of it."""
    return _ratio(np.diagonal(counts), counts.sum(axis=1))


def f1(counts: np.ndarray) -> np.ndarray:
    """Of each class, 2·TP / (2·TP + FP + FN); 0 where the class occurs neither as truth nor as prediction."""
    return _ratio(2 * np.diagonal(counts), counts.sum(axis=0) + counts.sum(axis=1))


def macro(counts: np.ndarray, values: np.ndarray) -> float:
    """Unweighted mean over the classes that occur among the true or the predicted ones, as scikit-learn's `macro`."""
    seen = counts.sum(axis=0) + counts.sum(axis=1) > 0
    return float(values[seen].mean())


def weighted(counts: np.ndarray, values: np.ndarray) -> float:
    """Mean over the classes, each weighing as many rows as are of it."""
    return float(np.average(values, weights=counts.sum(axis=1)))


def r2(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Share of the truth's variance that predictions explain, from 0 on: what is worse than the mean explains nothing.

    Args:
        predicted: Any shape.
        truth: The same shape.
    """
    spread = float(np.square(truth - truth.mean(axis=0)).sum())
    error = float(np.square(truth - predicted).sum())
    return max(0.0, 1 - error / spread) if spread else float(error == 0)


def top(logits: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Share of the rows whose true class is among the k highest; ties and NaN count against it.

    Args:
        logits: Shape [rows, classes].
        truth: True class indices, shape [rows].
        k: From 1.
    """
    own = logits[np.arange(len(truth)), truth]
    ahead = (logits >= own[:, np.newaxis]).sum(axis=1)
    return float(((ahead <= k) & ~unanswered(logits)).mean())


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the classes, shape [rows, classes]."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return found


def log_loss(chances: np.ndarray, truth: np.ndarray) -> float:
    """Mean of -log p(true class), in nats.

    Args:
        chances: Probabilities, shape [rows, classes].
        truth: True class indices, shape [rows].
    """
    own = chances[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean())


def reliability(chances: np.ndarray, truth: np.ndarray) -> list[dict[str, float]]:
    """How right the answers of like confidence are: `BINS` equal spans of the highest probability, empty ones left out.

    Returns:
        Of each span `rows`, mean `confidence` and `accuracy`.
    """
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    spans = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    return [
        {"rows": int(of.sum()), "confidence": float(sure[of].mean()), "accuracy": float(right[of].mean())}
        for each in range(BINS)
        if (of := spans == each).any()
    ]


def calibration_error(table: list[dict[str, float]]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over the rows.

    Args:
        table: What `reliability` gives.
    """
    rows = sum(each["rows"] for each in table)
    return float(sum(each["rows"] * abs(each["confidence"] - each["accuracy"]) for each in table) / rows)


def auc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve: the chance that a positive row scores above a negative one, ties counting half.

    Args:
        scores: Higher is more positive, shape [rows].
        positive: Booleans, shape [rows].

    Returns:
        None where all rows are of one kind.
    """
    hits = int(positive.sum())
    misses = len(positive) - hits
    if not hits or not misses:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def roc(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False and true positive rates at each threshold, from the strictest; a row is taken from its threshold on.

    Returns:
        False positive rates, true positive rates, thresholds; each of shape [distinct scores + 1].
    """
    values, inverse = np.unique(-scores, return_inverse=True)
    hits = np.cumsum(np.bincount(inverse, weights=positive, minlength=len(values)))
    misses = np.cumsum(np.bincount(inverse, weights=~positive, minlength=len(values)))
    rates = [np.concatenate([[0.0], each / max(each[-1], 1)]) for each in (misses, hits)]
    return rates[0], rates[1], np.concatenate([[np.inf], -values])


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return found
