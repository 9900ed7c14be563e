"""Requests from the user's npz file.

The file (`numpy.savez(file, **arrays)`) has a key for each input of the model:

- `input_ids` of shape (128, 64) for an input (batch, sequence): its first axis counts rows, and it is cut into 128
  requests (fewer with a greater batch). Every array that is cut has the same number of rows.
- `sr` of shape () for an input (): an array that fits the input and has no rows to cut is the same in every request.
- `0/input_ids`, `1/input_ids`, …: exactly what request 0, 1, … feeds, for requests of different lengths or inputs
  without an axis of rows. Keys without a number are then the same in every request.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgesft.errors import InputError, Problem
from edgesft.measure.inputs.axes import counts_rows, names
from edgesft.measure.inputs.requests import DTYPES, Feeds, Requests, unfeedable
from edgesft.measure.replies import Value
from edgesft.spec.problems import nearest

NUMBERED = re.compile(r"(\d+)/(.+)")
"""Key of an array that belongs to one request."""

UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError)
"""What numpy raises on files that are no npz, damaged, or pickled."""

SAVEZ = "numpy.savez('rows.npz', name=array, ...) with a key for each input"


def load_npz(path: Path, inputs: Sequence[Value], *, batch: int = 1) -> Requests:
    """Requests from an npz file, as this module's docstring describes it; nothing is unpickled.

    An array of another width of the same kind is converted where every value stays what it is (int32 ids for int64);
    of another kind, or with values that would change (most float64 for float32), it is refused.

    Args:
        path: The file.
        inputs: The model's inputs.
        batch: Rows of a request that is cut from longer arrays; rows that do not fill the last one are left out, which
            `source` tells.

    Raises:
        InputError: The file is not npz, or arrays do not fit the inputs; carries every problem found.
    """
    known = {value.name: value for value in inputs}
    problems = unfeedable(inputs)
    plain, numbered = _by_request(_read(path), known, problems)
    cut = set() if numbered else {name for name, array in plain.items() if _has_rows(array, known[name], inputs)}
    shared = {name: _fit(name, array, known[name], problems, batch * (name in cut)) for name, array in plain.items()}
    requests = [
        {name: _fit(f"{number}/{name}", array, known[name], problems) for name, array in feeds.items()}
        for number, feeds in sorted(numbered.items())
    ]
    rows = {name: len(shared[name]) for name in sorted(cut)}
    problems += _missing(known, plain, numbered) + _uneven(rows, batch)
    if problems:
        raise InputError(problems)
    held = min(rows.values(), default=batch)
    requests = requests or [
        {name: shared[name][start : start + batch] for name in cut} for start in range(0, held - batch + 1, batch)
    ]
    feeds = tuple({name: each[name] if name in each else shared[name] for name in known} for each in requests)
    if problems := _clashes(feeds, inputs):
        raise InputError(problems)
    of_rows = f" of {batch} rows" if batch > 1 else ""
    left = f", {held % batch} rows left out" if held % batch else ""
    return Requests(feeds, f"{path.name}, {len(feeds)} requests{of_rows}{left}")


def _read(path: Path) -> Feeds:
    arrays: Feeds = {}
    problems: list[Problem] = []
    with _open(path) as file:
        for key in file.files:
            try:
                # What is no array of numpy's comes as bytes.
                found, got = file[key], "another file"
            except UNREADABLE as error:
                found, got = None, "Python objects" if "pickle" in str(error) else f"damaged bytes ({error})"
            if isinstance(found, np.ndarray):
                arrays[key] = found
            else:
                hint = f"rows of one length as one array, or a key '<i>/{key}' for each request"
                problems.append(Problem(f"'{key}' must be an array of numbers or text, got {got}", hint))
    if problems:
        raise InputError(problems)
    if not arrays:
        raise InputError(f"inputs must be an npz file with arrays, got none in '{path}'", SAVEZ)
    return arrays


def _open(path: Path) -> np.lib.npyio.NpzFile:
    if not path.is_file():
        raise InputError(f"inputs must be an npz file that exists, got '{path}'", SAVEZ)
    try:
        file = np.load(path, allow_pickle=False)
    except UNREADABLE:
        file = None
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise InputError(f"inputs must be an npz file, got '{path}', which is none or is cut short", SAVEZ)
    return file


def _by_request(arrays: Feeds, known: Mapping[str, Value], problems: list[Problem]) -> tuple[Feeds, dict[int, Feeds]]:
    """The arrays of every request, and those of single ones by its number."""
    plain: Feeds = {}
    numbered: dict[int, Feeds] = {}
    for key, array in arrays.items():
        match = NUMBERED.fullmatch(key)
        if key in known:
            plain[key] = array
        elif match and match[2] in known:
            numbered.setdefault(int(match[1]), {})[match[2]] = array
        else:
            problems.append(
                Problem(
                    f"'{key}' must be an input of the model, got no such name",
                    nearest(match[2] if match else key, known),
                )
            )
    return plain, numbered


def _has_rows(array: np.ndarray, value: Value, inputs: Sequence[Value]) -> bool:
    return array.ndim == len(value.shape) and counts_rows(value, inputs) and len(array) > 1


def _fit(key: str, array: np.ndarray, value: Value, problems: list[Problem], rows: int = 0) -> np.ndarray:
    """The array in the input's type; what keeps it from fitting is added to the problems.

    Args:
        key: Its name in the file.
        array: What stands there.
        value: The input.
        problems: Grows.
        rows: Rows of one request where the array is cut into requests, else 0.
    """
    shape = (rows, *array.shape[1:]) if rows else array.shape
    fits = len(shape) == len(value.shape) and all(
        size == axis or not isinstance(axis, int) for size, axis in zip(shape, value.shape, strict=True)
    )
    if not array.size:
        problems.append(Problem(f"'{key}' must hold values, got an empty array of shape {list(array.shape)}"))
    elif not fits:
        a_time = f" ({rows} rows a request)" if rows else ""
        wanted = ", ".join(str(axis) for axis in names(value))
        problems.append(Problem(f"'{key}' must be of shape [{wanted}], got {list(array.shape)}{a_time}"))
    if (converted := _converted(array, value.dtype)) is not None:
        return converted
    if DTYPES.fullmatch(value.dtype):
        hint = "numpy.array([...]) of str" if value.dtype == "string" else f"array.astype('{value.dtype}')"
        problems.append(Problem(f"'{key}' must be of type {value.dtype}, got {array.dtype}", hint))
    return array


def _converted(array: np.ndarray, dtype: str) -> np.ndarray | None:
    """The array in this type, or None where its kind is another or a value would change."""
    if dtype == "string":
        return array.astype(object) if array.dtype.kind == "U" else None
    if not DTYPES.fullmatch(dtype) or array.dtype.kind != np.dtype(dtype).kind:
        return None
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    return converted if np.array_equal(converted, array, equal_nan=array.dtype.kind == "f") else None


def _missing(known: Mapping[str, Value], plain: Feeds, numbered: Mapping[int, Feeds]) -> list[Problem]:
    """Inputs without an array, and numbers without a request."""
    problems = []
    for number in range(max(numbered, default=-1) + 1):
        lacking = [name for name in known if name not in plain and name not in numbered.get(number, {})]
        if lacking:
            wanted = ", ".join(f"'{number}/{name}'" for name in lacking)
            problems.append(Problem(f"request {number} must have every input, got no {wanted}"))
    lacking = [] if numbered else [name for name in known if name not in plain]
    return problems + [Problem(f"'{name}' must be given, an input of the model; got no such key") for name in lacking]


def _uneven(rows: Mapping[str, int], batch: int) -> list[Problem]:
    if len(set(rows.values())) > 1:
        got = ", ".join(f"{count} in '{name}'" for name, count in rows.items())
        return [Problem(f"arrays that are cut into requests must have one number of rows, got {got}")]
    if batch > min(rows.values(), default=1):
        got = f"{min(rows.values())}" if rows else "no array with rows"
        return [Problem(f"inputs must have at least the {batch} rows of one batch, got {got}", "a smaller --batch")]
    return []


def _clashes(feeds: Sequence[Feeds], inputs: Sequence[Value]) -> list[Problem]:
    """Axes of one name that have two sizes in a request; each name once."""
    problems: dict[str, Problem] = {}
    for number, each in enumerate(feeds):
        sizes: dict[str, tuple[int, str]] = {}
        for value in inputs:
            for axis, got in zip(names(value), each[value.name].shape, strict=True):
                if isinstance(axis, str) and sizes.setdefault(axis, (got, value.name))[0] != got:
                    size, first = sizes[axis]
                    message = f"axis '{axis}' must have one size in request {number}, got {size} in '{first}'"
                    problems.setdefault(axis, Problem(f"{message} and {got} in '{value.name}'"))
    return list(problems.values())
