"""Noise for pictures with boxes: what training does to both at random. Pictures are uint8 of [channels, height, width];
objects are rows whose last four columns are a box (`tasks.boxes`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesft.data.boxed import sized
from edgesft.tasks.detection import boxes as geometry

Scene = tuple[np.ndarray, np.ndarray]
"""A picture and its objects, float32 of shape [objects, any + 4]."""

SEEN = 0.3
"""Share of a box that must be left of it where a picture is cut, or its label would tell of what cannot be seen."""

MIDDLE = (0.3, 0.7)
"""Where the four pictures of a mosaic meet, as shares of its sides."""


def mirrored(scene: Scene, axis: int) -> Scene:
    """The picture mirrored along its last axis, or along the one before.

    Args:
        scene: Picture and boxes.
        axis: -1 exchanges left and right, -2 top and bottom.
    """
    picture, labelled = scene
    labelled, column = labelled.copy(), -4 if axis == -1 else -3
    labelled[:, column] = 1 - labelled[:, column]
    return np.flip(picture, axis), labelled


def cut(scene: Scene, window: Sequence[float]) -> Scene:
    """What is seen of a scene through a window, stretched to the size of the whole, bilinearly.

    Args:
        scene: Picture and boxes.
        window: Left, top, right and bottom as shares of the picture, within it.
    """
    picture, labelled = scene
    height, width = picture.shape[1:]
    left, top, right, bottom = window
    found = _sampled(_sampled(picture, 1, top * height, bottom * height), 2, left * width, right * width)
    return found, visible(labelled, window)


def visible(labelled: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """The boxes that a window shows enough of, cut at its edges, as shares of its sides."""
    whole = geometry.seen_through(labelled[:, -4:], window)
    left = geometry.clipped(whole)
    kept = (geometry.areas(left) >= SEEN * geometry.areas(whole)) & sized(left)
    return np.concatenate([labelled[kept, :-4], left[kept]], 1)


def mosaic(scenes: Sequence[Scene], rng: np.random.Generator) -> Scene:
    """One picture of a window of each of four (Bochkovskiy et al. 2020, arXiv 2004.10934), each at its own scale.

    Args:
        scenes: Four, of one size.
        rng: Where the chance comes from.
    """
    height, width = scenes[0][0].shape[1:]
    middle = [round(side * rng.uniform(*MIDDLE)) for side in (height, width)]
    found, boxes = np.empty_like(scenes[0][0]), list[np.ndarray]()
    for number, (picture, labelled) in enumerate(scenes):
        rows = (0, middle[0]) if number < 2 else (middle[0], height)
        columns = (0, middle[1]) if number % 2 == 0 else (middle[1], width)
        sides = rows[1] - rows[0], columns[1] - columns[0]
        first = [int(rng.integers(0, whole - side + 1)) for whole, side in zip((height, width), sides, strict=True)]
        found[:, rows[0] : rows[1], columns[0] : columns[1]] = picture[
            :, first[0] : first[0] + sides[0], first[1] : first[1] + sides[1]
        ]
        window = (first[1] / width, first[0] / height, (first[1] + sides[1]) / width, (first[0] + sides[0]) / height)
        part = visible(labelled, window)
        place = (columns[0] / width, rows[0] / height, columns[1] / width, rows[1] / height)
        boxes.append(np.concatenate([part[:, :-4], geometry.placed_in(part[:, -4:], place)], 1))
    return found, np.concatenate(boxes).astype(np.float32)


def random_window(share: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A window that lacks up to a share of both sides, anywhere."""
    sides = 1 - rng.uniform(0, share, 2)
    left, top = rng.uniform(0, 1, 2) * (1 - sides)
    return left, top, left + sides[0], top + sides[1]


def _sampled(picture: np.ndarray, axis: int, start: float, end: float) -> np.ndarray:
    """A picture of which one axis is read from a part of itself, as many pixels as it has."""
    length = picture.shape[axis]
    places = (start + (np.arange(length) + 0.5) * (end - start) / length - 0.5).clip(0, length - 1)
    low = np.floor(places).astype(np.int64)
    weight = np.rint((places - low) * 256).astype(np.int32).reshape([-1 if each == axis else 1 for each in range(3)])
    below, above = (np.take(picture, each, axis).astype(np.int32) for each in (low, np.minimum(low + 1, length - 1)))
    return ((below * (256 - weight) + above * weight + 128) >> 8).astype(np.uint8)
