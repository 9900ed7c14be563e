"""Rows whose answers are no numbers: the highest of those is whichever comes first, and may happen to be right."""

from __future__ import annotations

import numpy as np


def unanswered(predictions: np.ndarray) -> np.ndarray:
    """Whether NaN is among a row's predictions, bool of shape [rows]; nowhere in what is not floating-point."""
    if predictions.dtype.kind != "f":
        return np.zeros(len(predictions), bool)
    found: np.ndarray = np.isnan(predictions).reshape(len(predictions), -1).any(axis=1)
    return found


def told(predictions: np.ndarray) -> str | None:
    """How many rows there are of the kind, and which is the first; None where there are none."""
    wrong = np.flatnonzero(unanswered(predictions))
    return f"NaN in {wrong.size} of {len(predictions)} rows, first in row {wrong[0] + 1}" if wrong.size else None
