"""Where an item stands among all others, and what that is worth.

Every item of the catalogue is ranked: metrics on some drawn ones order models otherwise (Krichene and Rendle 2020, "On
Sampled Metrics for Item Recommendation").
"""

from __future__ import annotations

import numpy as np

TOP = 10
"""Places that count."""

HIGHER, BEFORE, AFTER, LOWER, FIRST = range(5)
"""Columns of a standing: how many items score higher than the one that is meant, how many as high and come before or
after it, how many lower; and the index of the item that scores highest."""


def standings(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where the wanted items stand, float64 of shape [rows, 5].

    Of items with the same score the one with the lower index comes first, as ONNX's TopK has it.

    Args:
        scores: Shape [rows, items]; minus infinity of what is not answered at all. A row with NaN answers nothing.
        wanted: Index of the item that each row is about; -1 where the catalogue lacks it. What is lacking or not
            answered stands behind all others.
    """
    found = np.zeros((len(scores), 5))
    for row, own, index in zip(found, scores, wanted, strict=True):
        answered = np.isfinite(own)
        row[FIRST] = own.argmax()
        if np.isnan(own).any():
            row[HIGHER] = own.size
            continue
        if index < 0 or not answered[index]:
            row[HIGHER] = answered.sum()
            continue
        level = own == own[index]
        row[HIGHER] = (own > own[index]).sum()
        row[BEFORE], row[AFTER] = level[:index].sum(), level[index + 1 :].sum()
        row[LOWER] = answered.sum() - row[:LOWER].sum() - 1
    return found


def gains(found: np.ndarray) -> np.ndarray:
    """Of each row 1 / log2(place + 1) where the wanted item has one of the first 10 places, else 0.

    With one item that is meant the best gain is 1, so that this is normalised (Järvelin and Kekäläinen 2002,
    "Cumulated Gain-Based Evaluation of IR Techniques").
    """
    ahead = found[:, HIGHER] + found[:, BEFORE]
    return np.where(ahead < TOP, 1 / np.log2(ahead + 2), 0.0)


def hits(found: np.ndarray) -> np.ndarray:
    """Of each row 1 where the wanted item has one of the first 10 places, else 0."""
    return (found[:, HIGHER] + found[:, BEFORE] < TOP).astype(float)


def areas(found: np.ndarray) -> np.ndarray:
    """Of each row the chance that another item scores lower than the wanted one, ties counting half."""
    level = found[:, BEFORE] + found[:, AFTER]
    others = found[:, HIGHER] + level + found[:, LOWER]
    return (found[:, LOWER] + level / 2) / np.maximum(others, 1)
