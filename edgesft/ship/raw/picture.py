"""The graph that makes a model's feed of a picture's pixels, by ONNX's standard operators alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesft.ship.raw.nodes import Nodes, int32, int64
from edgesft.ship.raw.resize import resized

LUMA = (19595, 38470, 7471)
"""ITU-R 601-2 as Pillow has it (its src/libImaging/Convert.c): shares of 2^16, of which the half is added."""


def feed(n: Nodes, pixels: str, said: Mapping[str, Any]) -> str:
    """Writes what makes a feed of a picture.

    Args:
        n: Where to write.
        pixels: uint8 of shape [height, width, channels]: one channel is grey, of four the last is dropped.
        said: The contract's `preparation`.

    Returns:
        The feed, with a batch axis of 1.
    """
    found = _grey(n, pixels) if said["colour"] == "L" else pixels
    if said["resize"] is not None:
        found = resized(n, found, _target(n, found, said["resize"]), said["resample"])
    if said["crop"] is not None:
        for axis, size in enumerate(said["crop"]):
            found = _cropped(n, found, axis, size)
    # Each channel was resized by itself, so that their order is left to what is small.
    found = _scaled(n, found if said["colour"] == "L" else _ordered(n, found, said["colour"]), said)
    found = n("Transpose", found, perm=(2, 0, 1)) if said["layout"] == "NCHW" else found
    return n("Unsqueeze", found, int64(0))


def _ordered(n: Nodes, pixels: str, colour: str) -> str:
    """Three channels in the order in which they are fed."""
    order = int64(2, 1, 0) if colour == "BGR" else int64(0, 1, 2)
    return n("Gather", pixels, n("Min", order, _last(n, pixels)), axis=2)


def _grey(n: Nodes, pixels: str) -> str:
    """One channel: that of what is grey, else the light of three."""

    def light(g: Nodes) -> str:
        parts = [g("Slice", pixels, int64(place), int64(place + 1), int64(2)) for place in range(len(LUMA))]
        shares = [g("Mul", g.cast(part, "int32"), int32(share)) for part, share in zip(parts, LUMA, strict=True)]
        total = g("Add", g("Add", g("Add", shares[0], shares[1]), shares[2]), int32(1 << 15))
        return g.cast(g("Div", total, int32(1 << 16)), "uint8")

    return n.either(n("Squeeze", n("Equal", _last(n, pixels), int64(0))), pixels, light, "uint8")


def _last(n: Nodes, pixels: str) -> str:
    """Place of the last channel, int64 of shape [1]."""
    return n("Sub", n("Slice", n("Shape", pixels), int64(2), int64(3)), int64(1))


def _target(n: Nodes, pixels: str, resize: Any) -> str:
    """Height and width: as given, or so that the shorter side is; the longer one is rounded down."""
    if not isinstance(resize, int):
        return n("Identity", int64(*resize))
    sides = n("Slice", n("Shape", pixels), int64(0), int64(2))
    return n("Div", n("Mul", sides, int64(resize)), n("ReduceMin", sides))


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
