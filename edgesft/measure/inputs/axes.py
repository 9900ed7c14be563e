"""Axes of a model's inputs: what each is called, and which of them count rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgesft.measure.replies import Value

UNNAMED = re.compile(r"unk__\d+")
"""What tf2onnx calls an axis of which it knows neither size nor name (`tf2onnx/utils.py`)."""

LENGTH = re.compile(r"seq|len|time|frame|sample|token|step", re.IGNORECASE)
"""Names of axes along which one request extends; splitting such an axis into requests would time crumbs."""


def names(value: Value) -> tuple[int | str, ...]:
    """Each axis: its size, its name, or `<input>.<axis>` where the file names it not."""
    return tuple(f"{value.name}.{place}" if axis is None else axis for place, axis in enumerate(value.shape))


def is_batch(value: Value, place: int) -> bool:
    """Whether a free axis is the batch: called so (or `N`), or the first one and called `n` or nothing."""
    axis = value.shape[place]
    if isinstance(axis, int):
        return False
    if axis is None or UNNAMED.fullmatch(axis):
        return place == 0
    return "batch" in axis.lower() or axis == "N" or (axis == "n" and place == 0)


def counts_rows(value: Value, inputs: Sequence[Value]) -> bool:
    """Whether the first axis counts rows, so that an array may be cut along it into requests.

    It does where it is 1 or the batch. A free axis of another name does unless something speaks for a length: its name,
    that it is the only axis, that another axis is the batch, or that the name stands for a later axis of some input.
    """
    if not value.shape:
        return False
    axis = value.shape[0]
    if axis == 1 or is_batch(value, 0):
        return True
    if isinstance(axis, int) or len(value.shape) == 1 or LENGTH.search(axis or ""):
        return False
    later = {each for other in inputs for each in other.shape[1:]}
    return axis not in later and not any(is_batch(value, place) for place in range(1, len(value.shape)))


def batches(inputs: Sequence[Value], size: int) -> dict[str, int]:
    """Name of each axis that is the batch → its size."""
    return {str(name): size for value in inputs for place, name in enumerate(names(value)) if is_batch(value, place)}
