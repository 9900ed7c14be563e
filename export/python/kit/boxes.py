"""What is where on a picture (export/BUNDLE.md, "Boxes")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kit.model import Arrays

CANDIDATES = 300
"""Boxes of a label that are looked at, the surest ones."""


def seen(said: Mapping[str, Any], labels: Sequence[str], outputs: Arrays) -> list[dict[str, Any]]:
    """The surest boxes, each with its label, probability, and left, top, width and height as shares of the picture.

    Args:
        said: The contract's `decoding`.
        labels: All of them.
        outputs: Of one picture.
    """
    logits, boxes = (outputs[said[name]][0].astype(np.float64) for name in ("output", "boxes"))
    shared = logits.shape[1] > len(labels)
    chances = _softmax(logits) if shared else 1 / (1 + np.exp(-logits.clip(-80, 80)))
    chances = chances[:, : len(labels)]
    left = chances >= said["least_score"]
    if "kept" in said:
        left &= outputs[said["kept"]][0].astype(bool)
    elif not shared:
        left &= _surest(boxes, chances, left, said["iou"], said["most"])
    # Of equal ones the earlier place comes first, and there the earlier label.
    places, classes = np.nonzero(left)
    order = np.argsort(-chances[places, classes], kind="stable")[: said["most"]]
    return [_told(labels[classes[each]], chances[places[each], classes[each]], boxes[places[each]]) for each in order]


def _told(label: str, chance: float, box: np.ndarray) -> dict[str, Any]:
    x, y, width, height = map(float, box)
    return {"label": label, "score": float(chance), "box": [x - width / 2, y - height / 2, width, height]}


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _surest(boxes: np.ndarray, chances: np.ndarray, likely: np.ndarray, iou: float, most: int) -> np.ndarray:
    """Which boxes overlap no surer one of their label that is kept."""
    kept = np.zeros(chances.shape, bool)
    for label in range(chances.shape[1]):
        places = np.flatnonzero(likely[:, label])
        places = places[np.argsort(-chances[places, label], kind="stable")][:CANDIDATES]
        over, gone, count = _overlaps(boxes[places]) > iou, np.zeros(len(places), bool), 0
        for number, place in enumerate(places):
            if not gone[number] and count < most:
                kept[place, label] = True
                gone |= over[number]
                count += 1
    return kept


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    """The area that each two boxes share by the area that they cover together."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    sides = np.minimum(high[:, np.newaxis], high) - np.maximum(low[:, np.newaxis], low)
    common = sides.clip(0).prod(axis=2)
    areas = boxes[:, 2:].prod(axis=1)
    union = areas[:, np.newaxis] + areas - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
