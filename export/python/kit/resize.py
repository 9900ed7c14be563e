"""Resizing of 8-bit pixels, bit for bit as Pillow does it (its src/libImaging/Resample.c and Geometry.c)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

BITS = 32 - 8 - 2
"""Behind the point of a weight: 8 are a pixel's, and 2 are left for what a sum may exceed."""


def resized(pixels: np.ndarray, height: int, width: int, resample: str) -> np.ndarray:
    """The same picture in another size.

    Args:
        pixels: uint8 of shape [height, width, channels].
        height: Of what is returned.
        width: The same.
        resample: Pillow's name of the filter in lower case.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if resample == "nearest":
        rows, columns = (_nearest(*sizes) for sizes in zip(pixels.shape, (height, width), strict=False))
        return pixels[rows][:, columns]
    # What is rounded between the two passes makes a difference: Pillow 13 takes rows first where they become far fewer.
    lost = [before - after for before, after in zip(pixels.shape, (height, width), strict=False)]
    for axis in (0, 1) if lost[0] > max(0, 2 * lost[1]) else (1, 0):
        if lost[axis]:
            pixels = np.swapaxes(_along(np.swapaxes(pixels, 0, axis), (height, width)[axis], resample), 0, axis)
    return pixels


def _nearest(size: int, wanted: int) -> np.ndarray:
    """Which pixel each of the wanted ones is: sums of a step, rounded as Pillow rounds them."""
    step = size / wanted
    places, place = np.empty(wanted, np.int64), step * 0.5
    for index in range(wanted):
        places[index] = int(place)
        place += step
    return np.minimum(places, size - 1)


def _along(pixels: np.ndarray, wanted: int, resample: str) -> np.ndarray:
    """Resized along the first axis."""
    size = pixels.shape[0]
    firsts, weights = _weights(size, wanted, resample)
    sums = np.full((wanted, *pixels.shape[1:]), 1 << (BITS - 1), np.int32)
    for tap in range(weights.shape[1]):
        # Taps beyond the end weigh nothing.
        taken = pixels[np.minimum(firsts + tap, size - 1)].astype(np.int32)
        sums += taken * weights[:, tap].reshape(-1, 1, 1)
    return np.clip(sums >> BITS, 0, 255).astype(np.uint8)


def _weights(size: int, wanted: int, resample: str) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel that counts for each wanted one, and the weights of it and those behind it, fixed-point."""
    support, curve = FILTERS[resample]
    scale = size / wanted
    stretch = max(scale, 1.0)
    reach = support * stretch
    firsts, weights = np.zeros(wanted, np.int64), np.zeros((wanted, math.ceil(reach) * 2 + 1), np.int32)
    for index in range(wanted):
        centre = (index + 0.5) * scale
        first = max(0, int(centre - reach + 0.5))
        last = min(size, int(centre + reach + 0.5))
        own = [curve((place + first - centre + 0.5) * (1.0 / stretch)) for place in range(last - first)]
        total = sum(own)
        for place, weight in enumerate(own):
            share = (weight / total if total else weight) * (1 << BITS)
            weights[index, place] = int(share - 0.5 if share < 0 else share + 0.5)
        firsts[index] = first
    return firsts, weights


def _box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _bilinear(x: float) -> float:
    return 1.0 - abs(x) if abs(x) < 1.0 else 0.0


def _hamming(x: float) -> float:
    x = abs(x)
    if x == 0.0:
        return 1.0
    if x >= 1.0:
        return 0.0
    x *= math.pi
    return math.sin(x) / x * (0.54 + 0.46 * math.cos(x))


def _bicubic(x: float) -> float:
    x, a = abs(x), -0.5
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2.0 else 0.0


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3.0 <= x < 3.0 else 0.0


def _sinc(x: float) -> float:
    return 1.0 if x == 0.0 else math.sin(x * math.pi) / (x * math.pi)


FILTERS: Mapping[str, tuple[float, Callable[[float], float]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _bilinear),
    "hamming": (1.0, _hamming),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}
"""Name → how far a filter reaches, and its curve."""
