"""Readers of labelled rows: one function a format, found by the file's suffix."""

from __future__ import annotations

import codecs
import csv
import difflib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import coco, files, idx
from edgesft.data.chunks import CHUNK
from edgesft.errors import InputError, Problem, UnavailableError

Row = dict[str, Any]

SHOWN = 5
"""Malformed lines reported of one file, or categories."""

DELIMITERS = (",", ";", "\t")
"""What a .csv may be parted by, the usual one first."""


def read(path: Path) -> list[Row]:
    """All rows of a file; `stream` says of which and what may be wrong."""
    return list(stream(path))


def stream(path: Path) -> Iterator[Row]:
    """The rows of a csv, tsv, jsonl, json (COCO's, too), parquet, npz or idx file, in its order; the last two and json
    are in memory whole.

    Raises:
        InputError: No such file, unknown suffix, bad encoding, malformed lines (each named, after the last of them), no
            rows.
        UnavailableError: Parquet without pyarrow.
    """
    problem = files.missing(path, "data")
    if problem:
        raise InputError(problem)
    reader = idx.rows if idx.is_idx(path) else READERS.get(path.suffix.lower())
    if reader is None:
        close = difflib.get_close_matches(path.suffix.lower(), READERS, n=1)
        raise InputError(
            f"{path}: must end in one of {', '.join(READERS)}, got {path.suffix!r}",
            close[0] if close else "convert it to JSON lines, one object a row",
        )
    count = 0
    for count, row in enumerate(reader(path), 1):  # noqa: B007
        yield row
    if not count:
        raise InputError(f"{path}: must hold at least one row, got none", "check how the file was written")


def companions(path: Path) -> list[Path]:
    """Further files that a file's rows come from."""
    return [idx.labels_of(path)] if idx.is_idx(path) else []


def notes(path: Path) -> list[str]:
    """What a person should know of a file besides its rows: which of COCO's categories have no box.

    Args:
        path: Of which rows were made.
    """
    empty = coco.empty(_parsed(path)) if _is_object(path) else []
    more = f" and {len(empty) - SHOWN} more" if len(empty) > SHOWN else ""
    named = f"{'categories' if len(empty) > 1 else 'category'} {', '.join(empty[:SHOWN])}{more}"
    return [f"no box is of the {named}: the model learns no such class"] if empty else []


def has_boxes(path: Path) -> bool:
    """Whether it is a file of COCO's, whole or not."""
    try:
        return _is_object(path) and coco.is_coco(_parsed(path))
    except (OSError, InputError):
        return False


def _is_object(path: Path) -> bool:
    """Whether it is a JSON object; a list, which most rows are, need not be parsed to know that."""
    if path.suffix.lower() != ".json":
        return False
    with path.open("rb") as stream:
        return stream.read(64).lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"{")


class _Faults:
    """Malformed lines of a file: the first ones, and how many there are."""

    def __init__(self) -> None:
        self._shown: list[Problem] = []
        self._count = 0

    def add(self, problem: Problem) -> None:
        self._count += 1
        if self._count <= SHOWN:
            self._shown.append(problem)

    def __bool__(self) -> bool:
        return self._count > 0

    def raise_any(self) -> None:
        more = self._count - len(self._shown)
        if self._shown:
            raise InputError([*self._shown, *([Problem(f"… and {more} more lines like these")] if more else [])])


def _csv(path: Path) -> Iterator[Row]:
    return _separated(path, _delimiter(path))


def _delimiter(path: Path) -> str:
    """What parts the header into the most columns, a comma where several do: spreadsheets of countries that write 0,5
    save with semicolons.
    """
    _allow_long_fields(path)
    line = next(_lines(path, ""), "")
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([line], delimiter=delimiter), [])))


def _tsv(path: Path) -> Iterator[Row]:
    return _separated(path, "\t")


def _allow_long_fields(path: Path) -> None:
    """A field may be as long as the file: the default limit of 128 kB would cut off long documents."""
    csv.field_size_limit(max(csv.field_size_limit(), path.stat().st_size))


def _separated(path: Path, delimiter: str) -> Iterator[Row]:
    _allow_long_fields(path)
    lines = csv.reader(_lines(path, ""), delimiter=delimiter, strict=True)
    faults = _Faults()
    try:
        header = next(lines, None)
        if header is None:
            return
        if not any(name.strip() for name in header):
            raise InputError(f"{path}:1: must hold the column names, got an empty line", "remove it")
        for problem in _header_problems(path, header):
            faults.add(problem)
        for fields in lines:
            if not fields:
                continue
            if len(fields) != len(header):
                faults.add(
                    Problem(
                        f"{path}:{lines.line_num}: must have {len(header)} columns like the header, got {len(fields)}",
                        f'quote fields that contain {delimiter!r} or line breaks: "…"',
                    )
                )
            elif not faults:
                yield dict(zip(header, fields, strict=True))
    except csv.Error as error:
        faults.add(Problem(f"{path}:{lines.line_num}: {error}", 'write quotes inside a quoted field twice: ""'))
    faults.raise_any()


def _header_problems(path: Path, header: list[str]) -> list[Problem]:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        return [Problem(f"{path}:1: column names must be unique, got {', '.join(map(repr, repeated))} repeatedly")]
    return []


def _jsonl(path: Path) -> Iterator[Row]:
    faults = _Faults()
    for number, line in enumerate(_lines(path, "\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            faults.add(Problem(f"{path}:{number}: not valid JSON: {error.msg}, column {error.colno}", _JSONL))
            continue
        except (ValueError, RecursionError):
            faults.add(Problem(f"{path}:{number}: {_BEYOND}", _JSONL))
            continue
        if not isinstance(row, dict):
            faults.add(Problem(f"{path}:{number}: must be an object, got {type(row).__name__}", _JSONL))
        elif not faults:
            yield row
    faults.raise_any()


_BEYOND = "must be JSON that Python reads, got a number of thousands of digits, or lists nested too deeply"
"""What is said of the one and the other: limits of Python's, not errors of the file's."""

_JSONL = 'one object a line: {"text": "…", "label": "…"}'


def _json(path: Path) -> Iterator[Row]:
    rows = _parsed(path)
    if coco.is_coco(rows):
        yield from coco.rows(rows, path)
        return
    if not isinstance(rows, list):
        raise InputError(
            f"{path}: must be a list of objects, got {type(rows).__name__}", '[{"text": "…", "label": "…"}, …]'
        )
    faults = _Faults()
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            faults.add(Problem(f"{path}: entry {number} must be an object, got {type(row).__name__}"))
    faults.raise_any()
    yield from rows


def _parsed(path: Path) -> Any:
    try:
        return json.loads("".join(_lines(path, "")))
    except json.JSONDecodeError as error:
        hint = "is it JSON lines? Then name it .jsonl" if error.msg == "Extra data" else None
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}, column {error.colno}", hint) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_BEYOND}", "shorten them") from error


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UnavailableError(f"{path}: reading parquet needs pyarrow", "pip install 'edgesft[parquet]'") from error
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(CHUNK):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file: {error}", "write it again") from error


def _npz(path: Path) -> Iterator[Row]:
    """Each array's first axis are the rows."""
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("it is one array, as numpy.save writes it")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a readable npz file: {error}", "numpy.savez(path, x=…, label=…)") from error
    counts = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or None in counts.values():
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise InputError(f"{path}: must have as many rows in every array, got {told}", "the first axis are the rows")
    plain = {name: array.tolist() if array.ndim == 1 else array for name, array in arrays.items()}
    yield from (dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True))


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".npz": _npz,
}


def _lines(path: Path, newline: str) -> Iterator[str]:
    """The file's lines as UTF-8, their ends untouched; a byte order mark, which Excel writes, is dropped.

    Args:
        path: The file.
        newline: What ends a line; empty for any of the three conventions.
    """
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as stream:
            yield from stream
    except UnicodeDecodeError as error:
        raise InputError(*_misencoded(path)) from error


def _misencoded(path: Path) -> tuple[str, str]:
    """What to say of a file that is not UTF-8: its first wrong byte."""
    found = ""
    with path.open("rb") as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            told = f"{path}: must be UTF-8, got the byte order mark of UTF-16"
            return told, f"convert it: iconv -f UTF-16 -t UTF-8 {path.name}"
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                found = f"{path}:{number}: must be UTF-8, got the byte 0x{line[error.start]:02x}"
                break
    return found, f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name}"
