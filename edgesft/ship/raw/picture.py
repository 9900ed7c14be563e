"""The graph that makes a model's feed of a picture's pixels, by ONNX's standard operators alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesft.errors import StageError
from edgesft.ship.raw.nodes import Nodes, int32, int64
from edgesft.ship.raw.text import END

FILTERS: Mapping[str, Mapping[str, Any]] = {
    "nearest": {},
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5},
}
"""Pillow's filter → attributes of `Resize`, which knows no others."""

LUMA = (19595, 38470, 7471)
"""ITU-R 601-2 as Pillow has it (its src/libImaging/Convert.c): shares of 2^16, of which the half is added."""

HEIGHT, WIDTH = 0, 1


def feed(n: Nodes, pixels: str, said: Mapping[str, Any]) -> str:
    """Writes what makes a feed of a picture.

    Args:
        n: Where to write.
        pixels: uint8 of shape [height, width, channels]: one channel is grey, of four the last is dropped.
        said: The contract's `preparation`.

    Returns:
        The feed, with a batch axis of 1.

    Raises:
        StageError: It is resized by a filter that `Resize` does not know.
    """
    if said["resize"] is not None and said["resample"] not in FILTERS:
        known = ", ".join(FILTERS)
        raise StageError(f"preparation.resample must be one of {known}, which a graph knows; got {said['resample']}")
    found = _coloured(n, pixels, said["colour"])
    if said["resize"] is not None:
        found = _resized(n, found, said["resize"], said["resample"])
    if said["crop"] is not None:
        for axis, size in enumerate(said["crop"]):
            found = _cropped(n, found, axis, size)
    found = _scaled(n, found, said)
    found = n("Transpose", found, perm=(2, 0, 1)) if said["layout"] == "NCHW" else found
    return n("Unsqueeze", found, int64(0))


def _coloured(n: Nodes, pixels: str, colour: str) -> str:
    """Three channels in the order in which they are fed, or the one that is grey; uint8."""
    last = n("Sub", n("Slice", n("Shape", pixels), int64(2), int64(3)), int64(1))
    order = int64(2, 1, 0) if colour == "BGR" else int64(0, 1, 2)
    found = n("Gather", pixels, n("Min", order, last), axis=2)
    if colour != "L":
        return found
    parts = n("Mul", n.cast(found, "int32"), int32(*LUMA))
    total = n("Add", n("ReduceSum", parts, int64(2)), int32(1 << 15))
    return n.cast(n("Div", total, int32(1 << 16)), "uint8")


def _resized(n: Nodes, pixels: str, resize: Any, resample: str) -> str:
    shape = n("Shape", pixels)
    sides = n("Slice", shape, int64(0), int64(2))
    wanted: Any = int64(*resize) if not isinstance(resize, int) else _sides(n, sides, resize)
    if resample == "nearest":
        for axis in (HEIGHT, WIDTH):
            size, target = (n("Squeeze", n("Slice", each, int64(axis), int64(axis + 1))) for each in (sides, wanted))
            pixels = n("Gather", pixels, _nearest(n, size, target), axis=axis)
        return pixels
    whole = n("Concat", int64(1), wanted, n("Slice", shape, int64(2), int64(3)), axis=0)
    # A pixel beyond the edge counts for nothing, in Pillow and, so told, in ONNX Runtime of either mode.
    told = {**FILTERS[resample], "antialias": 1, "exclude_outside": 1, "coordinate_transformation_mode": "half_pixel"}
    return n("Squeeze", n("Resize", n("Unsqueeze", pixels, int64(0)), "", "", whole, **told), int64(0))


def _sides(n: Nodes, sides: str, shorter: int) -> str:
    """Height and width where the shorter one is given; the longer one is rounded down."""
    least = n("ReduceMin", sides)
    return n("Div", n("Mul", sides, int64(shorter)), least)


def _nearest(n: Nodes, size: str, wanted: str) -> str:
    """Which pixel each of the wanted ones is: floor((i + 1/2) size / wanted)."""
    places = n("Range", np.asarray(0, np.int64), wanted, np.asarray(1, np.int64))
    middle = n("Add", n("Mul", places, int64(2)), int64(1))
    return n("Div", n("Mul", middle, size), n("Mul", wanted, int64(2)))


def _cropped(n: Nodes, pixels: str, axis: int, size: int) -> str:
    """The centre along an axis; what lies outside of the picture is black."""
    side = n("Slice", n("Shape", pixels), int64(axis), int64(axis + 1))
    spare = n("Sub", side, int64(size))
    # Python's halves are rounded down, also below 0; ONNX's towards 0.
    start = n("Div", n("Sub", spare, n("Mod", spare, int64(2))), int64(2))
    outside = n("Sub", int64(0), start)
    before = n("Max", int64(0), outside)
    after = n("Max", int64(0), n("Sub", int64(size), n("Add", side, before)))
    padded = n("Pad", pixels, n("Concat", before, after, axis=0), np.asarray(0, np.uint8), int64(axis))
    first = n("Max", int64(0), start)
    return n("Slice", padded, first, n("Add", first, int64(size)), int64(axis))


def _scaled(n: Nodes, pixels: str, said: Mapping[str, Any]) -> str:
    """The numbers of the pixels: scaled in float64, normalised in float32, in the type of the feed."""
    found, now = pixels, "uint8"
    if said["scale"] is not None:
        found = n.cast(n("Mul", n.cast(found, "float64"), np.asarray(said["scale"], np.float64)), "float32")
        now = "float32"
    for operator, name in (("Sub", "mean"), ("Div", "std")):
        if said[name] is not None:
            found = found if now == "float32" else n.cast(found, "float32")
            found, now = n(operator, found, np.atleast_1d(np.asarray(said[name], np.float32))), "float32"
    dtype = said["dtype"]
    if now != dtype and np.dtype(dtype).kind in "iu":
        limits = [np.asarray(each, np.float32) for each in (np.iinfo(dtype).min, np.iinfo(dtype).max)]
        found = n("Clip", n("Round", found if now == "float32" else n.cast(found, "float32")), *limits)
    return found if now == dtype else n.cast(found, dtype)
