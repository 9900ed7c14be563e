"""Dicts of arrays, one an encoded row, in a file that is mapped into memory: looked at like a list of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from edgesft.errors import StageError

Arrays = dict[str, np.ndarray]

DATA, TABLE, LAYOUT = "data.bin", "table.bin", "layout.json"
"""The bytes of all arrays, row by row; where each row starts and the shapes of its arrays; names and types."""

Layout = list[tuple[str, str, int]]
"""Of each array of a row its name, its type and its number of axes; texts (`U`) have the width in the table."""


class MappedArrays(Sequence[Arrays]):
    """What `write` wrote into a folder; the arrays of a row are copied when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._layout: Layout = [tuple(each) for each in json.loads((folder / LAYOUT).read_text("utf-8"))]
        self._data = np.memmap(folder / DATA, np.uint8, "r")
        self._table = np.memmap(folder / TABLE, np.int64, "r").reshape(-1, _width(self._layout))

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Arrays: ...
    @overload
    def __getitem__(self, index: slice) -> list[Arrays]: ...
    def __getitem__(self, index: int | slice) -> Arrays | list[Arrays]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        place, *numbers = self._table[index].tolist()
        rest, found = iter(numbers), Arrays()
        for name, kind, axes in self._layout:
            shape = tuple(next(rest) for _ in range(axes))
            dtype = np.dtype(f"<U{next(rest)}" if kind == "U" else kind)
            count = math.prod(shape)
            found[name] = np.frombuffer(self._data, dtype, count, place).reshape(shape).copy()
            place += count * dtype.itemsize
        return found

    def __iter__(self) -> Iterator[Arrays]:
        return (self[index] for index in range(len(self)))


def write(rows: Iterable[Mapping[str, np.ndarray]], folder: Path) -> None:
    """Writes rows with arrays of the same names, types and numbers of axes, of any shapes; at least one row.

    Raises:
        StageError: The rows differ in more than shapes.
    """
    layout: Layout | None = None
    place = 0
    with (folder / DATA).open("wb") as data, (folder / TABLE).open("wb") as table:
        for row in rows:
            own: Layout = [(name, _kind(values), values.ndim) for name, values in row.items()]
            layout = layout or own
            if own != layout:
                raise StageError(f"encoded rows must have the same arrays, got {layout} and {own}")
            numbers = [place]
            for values in row.values():
                numbers += [*values.shape, *([values.dtype.itemsize // 4] if values.dtype.kind == "U" else [])]
                data.write(values.tobytes())
                place += values.nbytes
            table.write(np.asarray(numbers, np.int64).tobytes())
    (folder / LAYOUT).write_text(json.dumps(layout), "utf-8")


def _kind(values: np.ndarray) -> str:
    return "U" if values.dtype.kind == "U" else values.dtype.str


def _width(layout: Layout) -> int:
    return 1 + sum(axes + (kind == "U") for _, kind, axes in layout)
