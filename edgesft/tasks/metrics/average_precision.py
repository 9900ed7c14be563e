"""Average precision of boxes, as COCO's evaluation defines it.

Boxes of a class, over all pictures, the surest first: each is right where it overlaps a labelled box of its picture and
class by at least a threshold, each labelled box counting once, for the surest that overlaps it. Precision is made
falling from the right and read at 101 recalls from 0 to 1; their mean is the average precision (Lin et al. 2014, arXiv
1405.0312; cocoapi's `cocoeval.py`, of all sizes and at most 100 boxes a picture).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from edgesft.data.media.image import overlaps

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
"""Least overlaps that COCO averages over; the first is that of Pascal VOC."""

RECALLS = np.linspace(0, 1, 101)

BOX, SCORE, LABEL = slice(0, 4), 4, 5
"""Columns of a detection."""

NOTHING = -1.0
"""What fills the detections of a picture up."""


@lru_cache(maxsize=1 << 14)
def _matched(detections: bytes, truth: bytes, columns: int) -> np.ndarray:
    """Whether each detection of a picture is right at each threshold, bool of shape [detections, thresholds].

    Kept by content: what bounds a metric scores the same rows thousands of times.
    """
    found = np.frombuffer(detections, np.float32).reshape(-1, 6)
    wanted = np.frombuffer(truth, np.float32).reshape(-1, columns)
    right = np.zeros((len(found), len(THRESHOLDS)), bool)
    for label in np.flatnonzero(wanted[:, :-4].any(0)):
        ours = np.flatnonzero(found[:, LABEL] == label)
        ours = ours[np.argsort(-found[ours, SCORE], kind="stable")]
        boxes = wanted[wanted[:, label] > 0, -4:]
        over = overlaps(found[ours, BOX].astype(np.float64), boxes.astype(np.float64))
        for column, threshold in enumerate(THRESHOLDS):
            right[ours, column] = _claimed(over, threshold)
    return right


def _claimed(over: np.ndarray, threshold: float) -> np.ndarray:
    """Which of some detections of one class and picture, the surest first, have a labelled box to themselves."""
    free = np.where(over >= threshold, over, 0.0)
    found = np.zeros(len(over), bool)
    for row in np.flatnonzero(free.any(1)):
        best = free[row].argmax()
        if free[row, best]:
            found[row] = True
            free[:, best] = 0.0
    return found


def matched(detections: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether each detection is right at each threshold, bool of shape [pictures, detections, thresholds].

    Args:
        detections: float32 of shape [pictures, detections, 6]: box, score, label; filled up with `NOTHING`.
        truth: float32 of shape [pictures, boxes, classes + 4]: 1 for the class, and the box; filled up with zeros.
    """
    columns = truth.shape[2]
    return np.stack(
        [_matched(ours.tobytes(), wanted.tobytes(), columns) for ours, wanted in zip(detections, truth, strict=True)]
    )


def precisions(detections: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision of each class at each threshold, shape [classes, thresholds]; NaN of classes without a box."""
    right = matched(detections, truth).reshape(-1, len(THRESHOLDS))
    scores, labels = detections[..., SCORE].ravel(), detections[..., LABEL].ravel()
    order = np.argsort(-scores, kind="stable")
    right, labels = right[order], labels[order]
    counts = truth[..., :-4].sum((0, 1)).astype(int)
    return np.stack([_averaged(right[labels == label], count) for label, count in enumerate(counts.tolist())])


def _averaged(right: np.ndarray, boxes: int) -> np.ndarray:
    """Average precision at each threshold of one class.

    Args:
        right: Its detections, the surest first; shape [detections, thresholds].
        boxes: How many it has.
    """
    if not boxes:
        return np.full(right.shape[1], np.nan)
    if not len(right):
        return np.zeros(right.shape[1])
    hits = right.cumsum(0)
    precision = hits / np.arange(1, len(right) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    found = np.zeros(right.shape[1])
    for column in range(right.shape[1]):
        # Of each recall the first place that reaches it.
        places = np.searchsorted(hits[:, column] / boxes, RECALLS - 1e-12)
        reached = places[places < len(right)]
        found[column] = precision[reached, column].sum() / len(RECALLS)
    return found


def mean(values: np.ndarray) -> float:
    """Over all that are numbers; 0 where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def best_threshold(detections: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The score from which detections have the greatest F1 at an overlap of a half, over all classes; and that F1."""
    right = matched(detections, truth)[..., 0].ravel()
    scores, labels = detections[..., SCORE].ravel(), detections[..., LABEL].ravel()
    order = np.argsort(-scores, kind="stable")
    order = order[labels[order] >= 0]
    wanted = int(truth[..., :-4].sum())
    if not len(order) or not wanted:
        return 0.5, 0.0
    hits = right[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + wanted)
    best = int(f1.argmax())
    return float(scores[order[best]]), float(f1[best])


def told(detections: np.ndarray, truth: np.ndarray, labels: Sequence[str], least: float) -> dict[str, Any]:
    """Figures for the report, as JSON values: `rows`, `averages` and `classes`, of which precision, recall and F1 are
    those of boxes from a score on.
    """
    found, counts = precisions(detections, truth), truth[..., :-4].sum((0, 1)).astype(int)
    right, sure = matched(detections, truth)[..., 0], detections[..., SCORE] >= least
    classes = []
    for place, (label, count) in enumerate(zip(labels, counts.tolist(), strict=True)):
        own = sure & (detections[..., LABEL] == place)
        figures = {"map": mean(found[place]), "map50": mean(found[place, :1]), "boxes": count}
        classes.append({"name": label, **_f1(int((right & own).sum()), int(own.sum()), count), **figures})
    whole = _f1(int((right & sure).sum()), int(sure.sum()), int(counts.sum()))
    averages = {"map": mean(found), "map50": mean(found[:, 0]), "least_score": least, **whole}
    return {"rows": len(detections), "averages": averages, "classes": classes}


def _f1(right: int, said: int, boxes: int) -> dict[str, Any]:
    precision, recall = right / max(said, 1), right / max(boxes, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * right / max(said + boxes, 1)}


def filled(rows: Sequence[np.ndarray], most: int | None = None, value: float = 0.0) -> np.ndarray:
    """Arrays of unequal length as one, float32, filled up with a value.

    Args:
        rows: One at least, each of shape [any, columns].
        most: Length of each; by default the longest one's, and 1 at least.
        value: What fills up.
    """
    most = max(1, *map(len, rows)) if most is None else most
    found = np.full((len(rows), most, rows[0].shape[1]), value, np.float32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found
