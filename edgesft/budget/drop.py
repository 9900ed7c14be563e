"""How far a metric fell, and how sure that is, from the predictions of two models on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgesft.budget import bootstrap
from edgesft.budget.metric import scale
from edgesft.budget.percentile import CONFIDENCE, Interval

Scorer = Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
"""`scorer(predictions, rows) -> metrics`: predictions of those rows, and the rows' indices (with repeats)."""

RESAMPLES = 1000
"""Resamples of the rows; leaves about 0.7 points of error in a 5 % tail."""

SEED = 0
"""Fixed, so that the same predictions always give the same verdict."""

FEWEST_ROWS = 5
"""With fewer rows the resamples are too few different ones for a bound."""


def drops(
    scorer: Scorer, reference: np.ndarray, predictions: np.ndarray, confidence: float = CONFIDENCE
) -> dict[str, Interval]:
    """How far each metric of `predictions` lies below that of `reference`; negative where it is better.

    Rows are drawn with replacement, the same ones for both models, so that what makes a row hard cancels. That no row
    changed is no proof that none ever will, though a plain bootstrap would then be certain of 0: each resample
    therefore may also draw one more row, which counts fully against the bound. "No change in n rows" then gives the
    rule of three, at most 3 / n (Hanley and Lippman-Hand 1983, If Nothing Goes Wrong, Is Everything All Right?). What
    a row counts fully is known of shares alone; decibels have no such row.

    Args:
        scorer: Metrics, each on its `scale`; higher is better.
        reference: Predictions of the original, one a row.
        predictions: Predictions of the model that is judged, in the same order.
        confidence: Probability, of each bound by itself, to hold.

    Raises:
        ValueError: The numbers of rows differ.
    """
    if len(reference) != len(predictions):
        raise ValueError(f"predictions must be of the same rows, got {len(reference)} and {len(predictions)}")

    def fall(rows: np.ndarray) -> dict[str, float]:
        before, after = scorer(reference[rows], rows), scorer(predictions[rows], rows)
        return {name: before[name] - after[name] for name in before}

    return _intervals(fall, len(predictions), confidence, difference=True)


def levels(scorer: Scorer, predictions: np.ndarray, confidence: float = CONFIDENCE) -> dict[str, Interval]:
    """Each metric of `predictions`, with bounds by the same bootstrap as `drops`."""

    def level(rows: np.ndarray) -> dict[str, float]:
        return dict(scorer(predictions[rows], rows))

    return _intervals(level, len(predictions), confidence, difference=False)


def _intervals(
    statistic: Callable[[np.ndarray], dict[str, float]], count: int, confidence: float, *, difference: bool
) -> dict[str, Interval]:
    """The statistic on all rows with its bounds, which lie where a metric, or a difference of two, can lie."""
    values = {name: float(value) for name, value in statistic(np.arange(count)).items()}
    if count < FEWEST_ROWS:
        return {name: Interval(value, None, None) for name, value in values.items()}
    rng = np.random.default_rng(SEED)
    resampled = [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    unseen = rng.binomial(count + 1, 1 / (count + 1), RESAMPLES) / count
    found = {}
    for name, value in values.items():
        taken, of = np.array([metrics[name] for metrics in resampled]), scale(name)
        width = of.most - of.least
        least, most = (-width, width) if difference else (of.least, of.most)
        further = unseen * width if np.isfinite(width) else np.zeros(RESAMPLES)
        lower, _ = bootstrap.bounds(taken - further, count, confidence)
        _, upper = bootstrap.bounds(taken + further, count, confidence)
        found[name] = Interval(value, max(lower, least), min(upper, most))
    return found
