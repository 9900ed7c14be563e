"""The graph that resizes 8-bit pixels, bit for bit as Pillow does it (its src/libImaging/Resample.c and Geometry.c).

ONNX's own `Resize` with `antialias` is another function: of 8-bit pixels ONNX Runtime 1.32 makes others than Pillow
in up to a quarter of a picture, by up to 18 levels of grey.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgesft.ship.raw.nodes import Nodes, int32, int64

BITS = 32 - 8 - 2
"""Behind the point of a weight, as Pillow has it."""

ZERO, ONE = np.asarray(0, np.int64), np.asarray(1, np.int64)


def real(number: float) -> np.ndarray:
    """A constant without axes, float64."""
    return np.asarray(number, np.float64)


def resized(n: Nodes, pixels: str, wanted: str, resample: str) -> str:
    """Writes what resizes a picture.

    Args:
        n: Where to write.
        pixels: uint8 of shape [height, width, channels].
        wanted: Height and width, int64 of shape [2].
        resample: Pillow's name of the filter in lower case.
    """
    shape = n("Shape", pixels)
    sides = n("Slice", shape, int64(0), int64(2))
    if resample == "nearest":
        for axis in (0, 1):
            places = _nearest(n, _at(n, sides, axis), _at(n, wanted, axis))
            pixels = n("Gather", pixels, places, axis=axis)
        return pixels
    # What is rounded between the two passes makes a difference: Pillow 13 takes rows first where they become far fewer.
    lost = n("Sub", sides, wanted)
    height, width = (_at(n, lost, axis) for axis in (0, 1))
    rows_first = n("Greater", height, n("Max", ZERO, n("Mul", width, np.asarray(2, np.int64))))
    order = n("Where", rows_first, int64(0, 1), int64(1, 0))
    channels = n("Slice", shape, int64(2), int64(3))
    # Lines of a picture, or columns, of which each channel is a row of its own: so it is turned fast.
    flat = n("Reshape", pixels, n("Concat", n("Slice", sides, int64(0), int64(1)), int64(-1), axis=0))
    found = n.either(rows_first, flat, lambda g: g("Transpose", flat), "uint8")
    for step in (0, 1):
        way = n("Slice", order, int64(step), int64(step + 1))
        size, target = (n("Squeeze", n("Gather", each, way)) for each in (sides, wanted))
        found = _along(n, found, size, target, n("Where", n("Equal", way, int64(0)), int64(1), channels), resample)
        if step == 0:
            found = n("Transpose", found)
    found = n.either(rows_first, lambda g: g("Transpose", found), found, "uint8")
    return n("Reshape", found, n("Concat", wanted, channels, axis=0))


def _at(n: Nodes, given: str, place: int) -> str:
    return n("Squeeze", n("Slice", given, int64(place), int64(place + 1)))


def _nearest(n: Nodes, size: str, wanted: str) -> str:
    """Which pixel each of the wanted ones is: sums of a step, rounded as Pillow rounds them."""
    step = n("Div", n.cast(size, "float64"), n.cast(wanted, "float64"))
    rest = n("Expand", step, n("Unsqueeze", n("Sub", wanted, ONE), int64(0)))
    steps = n("Concat", n("Unsqueeze", n("Mul", step, real(0.5)), int64(0)), rest, axis=0)
    places = n.cast(n("Floor", n("CumSum", steps, ZERO)), "int64")
    return n("Min", places, n("Sub", size, ONE))


def _along(n: Nodes, rows: str, size: str, wanted: str, channels: str, resample: str) -> str:
    """A picture resized along its first axis: all pixels of a tap at a time, times their weights, in whole numbers.

    Args:
        n: Where to write.
        rows: uint8 of shape [size times channels, pixels].
        size: Along that axis, int64 without axes.
        wanted: The same of what is returned.
        channels: Rows of each place, which stay apart; int64 of shape [1].
        resample: Name of the filter.
    """
    places, weights, taps = _weights(n, size, wanted, resample)
    own = n("Range", ZERO, n("Squeeze", channels), ONE)
    each = n("Add", n("Mul", n("Unsqueeze", places, int64(2)), channels), own)
    width = n("Concat", int64(1, 1), channels, axis=0)
    split = int64(0, -1)
    places = n("Reshape", each, split)
    weights = n("Reshape", n("Expand", n("Unsqueeze", weights, int64(2)), width), split)
    count = n("Mul", n("Unsqueeze", wanted, int64(0)), channels)
    pixels = n("Slice", n("Shape", rows), int64(1), int64(2))
    start = n.filled(n("Concat", count, pixels, axis=0), int32(1 << (BITS - 1)))

    def step(g: Nodes, number: str, *, total: str) -> tuple[str, Mapping[str, str]]:
        taken = g.cast(g("Gather", rows, g("Gather", places, number)), "int32")
        weight = g("Unsqueeze", g("Gather", weights, number), int64(1))
        return g("Identity", np.asarray(True)), {"total": g("Add", total, g("Mul", taken, weight))}

    total = n.loop(taps, {"total": (start, "int32")}, step)["total"]
    bounds = (np.asarray(each, np.int32) for each in (0, 255))
    # What is below 0 is cut, however it is rounded.
    return n.cast(n("Clip", n("Div", total, int32(1 << BITS)), *bounds), "uint8")


def _weights(n: Nodes, size: str, wanted: str, resample: str) -> tuple[str, str, str]:
    """Place and weight (fixed-point) of each tap of each wanted pixel, of shape [taps, wanted], and how many taps."""
    support, curve = FILTERS[resample]
    whole = n.cast(size, "float64")
    scale = n("Div", whole, n.cast(wanted, "float64"))
    stretch = n("Max", scale, real(1.0))
    reach = n("Mul", stretch, real(support))
    centre = n("Mul", n("Add", n.cast(n("Range", ZERO, wanted, ONE), "float64"), real(0.5)), scale)
    first = n("Max", n("Floor", n("Add", n("Sub", centre, reach), real(0.5))), real(0.0))
    last = n("Min", n("Floor", n("Add", n("Add", centre, reach), real(0.5))), whole)
    taps = n("Add", n("Mul", n.cast(n("Ceil", reach), "int64"), np.asarray(2, np.int64)), ONE)
    tap = n("Unsqueeze", n.cast(n("Range", ZERO, taps, ONE), "float64"), int64(1))
    place = n("Add", tap, first)
    off = n("Mul", n("Add", n("Sub", place, centre), real(0.5)), n("Div", real(1.0), stretch))
    own = n("Where", n("Less", place, last), curve(n, off), real(0.0))
    total = n("ReduceSum", own, int64(0), keepdims=1)
    share = n("Div", own, n("Where", n("Equal", total, real(0.0)), real(1.0), total))
    fixed = n("Mul", share, real(1 << BITS))
    rounded = n("Mul", n("Sign", fixed), n("Floor", n("Add", n("Abs", fixed), real(0.5))))
    # Taps beyond the end weigh nothing.
    inside = n("Min", n.cast(place, "int64"), n("Sub", size, ONE))
    return inside, n.cast(rounded, "int32"), taps


def _box(n: Nodes, x: str) -> str:
    inside = n("And", n("Greater", x, real(-0.5)), n("LessOrEqual", x, real(0.5)))
    return n("Where", inside, real(1.0), real(0.0))


def _bilinear(n: Nodes, x: str) -> str:
    return n("Max", n("Sub", real(1.0), n("Abs", x)), real(0.0))


def _hamming(n: Nodes, x: str) -> str:
    x = n("Abs", x)
    turn = n("Mul", x, real(math.pi))
    # ONNX Runtime has no cosine of float64.
    cosine = n("Sin", n("Add", turn, real(math.pi / 2)))
    curve = n("Mul", _sinc(n, x), n("Add", real(0.54), n("Mul", real(0.46), cosine)))
    return n("Where", n("Less", x, real(1.0)), n("Where", n("Equal", x, real(0.0)), real(1.0), curve), real(0.0))


def _bicubic(n: Nodes, x: str) -> str:
    x, a = n("Abs", x), -0.5
    inner = n("Sub", n("Mul", x, real(a + 2.0)), real(a + 3.0))
    near = n("Add", n("Mul", n("Mul", inner, x), x), real(1.0))
    outer = n("Add", n("Mul", n("Sub", x, real(5.0)), x), real(8.0))
    far = n("Mul", n("Sub", n("Mul", outer, x), real(4.0)), real(a))
    return n("Where", n("Less", x, real(1.0)), near, n("Where", n("Less", x, real(2.0)), far, real(0.0)))


def _lanczos(n: Nodes, x: str) -> str:
    inside = n("And", n("GreaterOrEqual", x, real(-3.0)), n("Less", x, real(3.0)))
    curve = n("Mul", _sinc(n, x), _sinc(n, n("Div", x, real(3.0))))
    return n("Where", inside, curve, real(0.0))


def _sinc(n: Nodes, x: str) -> str:
    still = n("Equal", x, real(0.0))
    turn = n("Where", still, real(1.0), n("Mul", x, real(math.pi)))
    return n("Where", still, real(1.0), n("Div", n("Sin", turn), turn))


FILTERS: Mapping[str, tuple[float, Callable[[Nodes, str], str]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _bilinear),
    "hamming": (1.0, _hamming),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}
"""Name → how far a filter reaches, and its curve."""
