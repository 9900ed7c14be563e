"""To which sizes a width may go, and which of them are measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edgesft.stages.prune.layout import Layout, Width

RUNGS = (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 1 / 6, 1 / 12)
"""Shares of a width that are measured; closer together where less is left, for there each unit counts more."""


FEW = 8
"""So many sizes are all measured."""


def allowed(width: Width, multiple: int, max_share: float) -> tuple[int, ...]:
    """Sizes that leave a multiple of `multiple` channels and no more than `max_share` gone, falling, its own first.

    Nothing may be left, 0, of what may go as a whole, where `max_share` is 1.
    """
    block = multiple // math.gcd(multiple, width.channels)
    least = max(block, math.ceil(width.size * (1 - max_share) - 1e-9))
    most = width.size - 1 if width.most is None else width.most
    below = range(most // block * block, least - 1, -block)
    return (width.size, *below, *((0,) if max_share == 1 and width.may_go else ()))


def measured(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the allowed sizes that are measured, falling: all where they are few, for latency falls in steps; else
    the ones next to `RUNGS`, the least one, and 0.
    """
    if len(sizes) <= FEW:
        return sizes
    some = np.asarray([size for size in sizes if size])
    rungs = {int(some[np.abs(some - share * sizes[0]).argmin()]) for share in RUNGS}
    return tuple(sorted({*rungs, int(some[-1]), sizes[-1]}, reverse=True))


def between(sizes: tuple[int, ...], points: dict[int, float]) -> np.ndarray:
    """Values at all sizes from those at some, on straight lines; 0 is a point of its own, nothing leads to it."""
    known = sorted(size for size in points if size)
    values = np.interp(sizes, known, [points[size] for size in known])
    if sizes[-1] == 0:
        values[-1] = points[0]
    return values


def smallest(layout: Layout, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The least that every width may keep."""
    return {width.name: sizes[width.name][-1] for width in layout.widths}


def present(width: Width, shapes: Mapping[str, Sequence[int]]) -> int:
    """The units that are left of a width in a model with parameters of these shapes; 0 where it is gone."""
    own = (axis for axis in width.axes if axis.parameter.rpartition(".")[0] == width.name and axis.parameter in shapes)
    return next((shapes[axis.parameter][axis.dim] // width.channels for axis in own), 0)


def none_above(sizes: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The allowed sizes of a width that has been cut to a size."""
    return tuple(each for each in sizes if each <= size)
