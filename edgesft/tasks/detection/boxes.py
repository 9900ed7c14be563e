"""Boxes: centre x, centre y, width and height, as shares of a picture's sides. Pure arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

KEPT = "kept"
"""Output of graphs that suppress boxes themselves: which scores are left."""


def corners(boxes: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom, of any shape [..., 4]."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def centred(edges: np.ndarray) -> np.ndarray:
    """Inverse of `corners`."""
    return np.concatenate([(edges[..., :2] + edges[..., 2:]) / 2, edges[..., 2:] - edges[..., :2]], -1)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Shape [...]."""
    return boxes[..., 2] * boxes[..., 3]


def clipped(boxes: np.ndarray) -> np.ndarray:
    """What lies within the picture; sides of what lies outside are 0."""
    return centred(corners(boxes).clip(0, 1))


def seen_through(boxes: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Boxes as shares of a window's sides, uncut.

    Args:
        boxes: As shares of the picture.
        window: Left, top, right and bottom of the window as shares of the picture.
    """
    origin, sides = _parts(window)
    return np.concatenate([(boxes[..., :2] - origin) / sides, boxes[..., 2:] / sides], -1).astype(boxes.dtype)


def placed_in(boxes: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Inverse of `seen_through`."""
    origin, sides = _parts(window)
    return np.concatenate([boxes[..., :2] * sides + origin, boxes[..., 2:] * sides], -1).astype(boxes.dtype)


def _parts(window: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    start, end = np.asarray(window).reshape(2, 2)
    return start, end - start
