"""Random requests, for where the user gives none."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from edgesft.errors import InputError, Problem
from edgesft.measure.inputs.axes import is_batch, names
from edgesft.measure.inputs.requests import Requests, unfeedable
from edgesft.measure.replies import Value
from edgesft.spec.problems import nearest


def random_requests(
    inputs: Sequence[Value],
    sizes: Mapping[str, int],
    gathers: Mapping[str, int],
    *,
    states: Collection[str] = (),
    count: int = 16,
    seed: int = 0,
) -> Requests:
    """Random requests that the model can run on; what it answers means nothing.

    A state is zeros: what it is before the first frame. Ids that index a table are uniform over its rows. A mask is
    ones: nothing of a request is masked away. Floats are standard normal. 8-bit integers are pictures or quantized
    values: uniform over the type. Other integers are zeros: that is a valid index, type, rate or flag where other
    values may not be. Booleans are True and text is `text`.

    Args:
        inputs: The model's inputs.
        sizes: Name of a free axis → its size; an axis without a name is `<input>.<axis>`. The batch is 1 by default.
        gathers: Integer input → rows of the table that it indexes.
        states: Inputs that are states.
        count: How many, each with values of its own.
        seed: Of the random numbers.

    Raises:
        InputError: A free axis has no size, or a size names no free axis; carries every problem found.
    """
    problems = unfeedable(inputs) + _wrong_sizes(inputs, sizes)
    if problems:
        raise InputError(problems)
    rng = np.random.default_rng(seed)
    shapes = {
        value.name: tuple(axis if isinstance(axis, int) else sizes.get(axis, 1) for axis in names(value))
        for value in inputs
    }
    feeds = tuple(
        {
            value.name: _values(value, shapes[value.name], rng, gathers.get(value.name), value.name in states)
            for value in inputs
        }
        for _ in range(count)
    )
    told = "".join(f", {name} {size}" for name, size in sorted(sizes.items()) if size != 1)
    return Requests(feeds, f"random (seed {seed}{told})")


def _values(
    value: Value, shape: tuple[int, ...], rng: np.random.Generator, rows: int | None, state: bool
) -> np.ndarray:
    if value.dtype == "string":
        return np.full(shape, "text", object)
    dtype = np.dtype(value.dtype)
    if state:
        return np.zeros(shape, dtype)
    if rows is not None:
        return rng.integers(0, rows, shape).astype(dtype)
    if dtype.kind == "b" or "mask" in value.name.lower():
        return np.ones(shape, dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.zeros(shape, dtype)


def _wrong_sizes(inputs: Sequence[Value], sizes: Mapping[str, int]) -> list[Problem]:
    free: dict[str, list[str]] = {}
    batch: set[str] = set()
    for value in inputs:
        for place, name in enumerate(names(value)):
            if isinstance(name, str):
                free.setdefault(name, []).append(value.name)
                batch |= {name} if is_batch(value, place) else set()
    problems = []
    for name, size in sizes.items():
        if name not in free:
            hint = nearest(name, free) if free else "leave it out"
            problems.append(Problem(f"axis '{name}' must be a free axis of an input, got none of that name", hint))
        elif size < 1:
            problems.append(Problem(f"axis '{name}' must be at least 1, got {size}"))
    for name in (name for name in free if name not in batch and name not in sizes):
        of = ", ".join(f"'{each}'" for each in dict.fromkeys(free[name]))
        problems.append(Problem(f"axis '{name}' of {of} must have a size, got none", f"--axis {_quoted(name)}=64"))
    return problems


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w.]", name) else name
