"""Readers of labelled rows: one function a format, found by the file's suffix."""

from __future__ import annotations

import csv
import difflib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import files
from edgesft.errors import InputError, Problem, UnavailableError

SHOWN = 5
"""Malformed lines reported of one file."""


def read(path: Path) -> list[dict[str, Any]]:
    """All rows of a csv, tsv, jsonl, json, parquet or npz file, in its order.

    Raises:
        InputError: No such file, unknown suffix, bad encoding, malformed lines (each named), no rows.
        UnavailableError: Parquet without pyarrow.
    """
    problem = files.missing(path, "data")
    if problem:
        raise InputError(problem)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        close = difflib.get_close_matches(path.suffix.lower(), READERS, n=1)
        raise InputError(
            f"{path}: must end in one of {', '.join(READERS)}, got {path.suffix!r}",
            close[0] if close else "convert it to JSON lines, one object a row",
        )
    rows = reader(path)
    if not rows:
        raise InputError(f"{path}: must hold at least one row, got none", "check how the file was written")
    return rows


def _csv(path: Path) -> list[dict[str, Any]]:
    return _separated(path, ",")


def _tsv(path: Path) -> list[dict[str, Any]]:
    return _separated(path, "\t")


def _separated(path: Path, delimiter: str) -> list[dict[str, Any]]:
    # A field may be as long as the file: the default limit of 128 kB would cut off long documents.
    csv.field_size_limit(max(csv.field_size_limit(), path.stat().st_size))
    lines = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    try:
        header = next(lines, [])
        problems += _header_problems(path, header)
        for fields in lines:
            if not fields:
                continue
            if len(fields) == len(header):
                rows.append(dict(zip(header, fields, strict=True)))
            else:
                problems.append(
                    Problem(
                        f"{path}:{lines.line_num}: must have {len(header)} columns like the header, got {len(fields)}",
                        f'quote fields that contain {delimiter!r} or line breaks: "…"',
                    )
                )
    except csv.Error as error:
        problems.append(Problem(f"{path}:{lines.line_num}: {error}", 'write quotes inside a quoted field twice: ""'))
    _raise(problems)
    return rows


def _header_problems(path: Path, header: list[str]) -> list[Problem]:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        return [Problem(f"{path}:1: column names must be unique, got {', '.join(map(repr, repeated))} repeatedly")]
    if header and not any(name.strip() for name in header):
        return [Problem(f"{path}:1: must hold the column names, got an empty line")]
    return []


def _jsonl(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(Problem(f"{path}:{number}: not valid JSON: {error.msg}, column {error.colno}", _JSONL))
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            problems.append(Problem(f"{path}:{number}: must be an object, got {type(row).__name__}", _JSONL))
    _raise(problems)
    return rows


_JSONL = 'one object a line: {"text": "…", "label": "…"}'


def _json(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(_text(path))
    except json.JSONDecodeError as error:
        hint = "is it JSON lines? Then name it .jsonl" if error.msg == "Extra data" else None
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}, column {error.colno}", hint) from error
    if not isinstance(rows, list):
        raise InputError(
            f"{path}: must be a list of objects, got {type(rows).__name__}", '[{"text": "…", "label": "…"}, …]'
        )
    _raise(
        [
            Problem(f"{path}: entry {number} must be an object, got {type(row).__name__}")
            for number, row in enumerate(rows, 1)
            if not isinstance(row, dict)
        ]
    )
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UnavailableError(f"{path}: reading parquet needs pyarrow", "pip install 'edgesft[parquet]'") from error
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file: {error}", "write it again") from error
    return rows


def _npz(path: Path) -> list[dict[str, Any]]:
    """Each array's first axis are the rows."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable npz file: {error}", "numpy.savez(path, x=…, label=…)") from error
    counts = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or None in counts.values():
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise InputError(f"{path}: must have as many rows in every array, got {told}", "the first axis are the rows")
    plain = {name: array.tolist() if array.ndim == 1 else array for name, array in arrays.items()}
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".npz": _npz,
}


def _text(path: Path) -> str:
    """The file as UTF-8; a byte order mark, which Excel writes, is dropped."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: must be UTF-8, got the byte 0x{content[error.start]:02x}",
            f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
        ) from error


def _raise(problems: list[Problem]) -> None:
    if not problems:
        return
    shown = problems[:SHOWN]
    if len(problems) > SHOWN:
        shown.append(Problem(f"… and {len(problems) - SHOWN} more lines like these"))
    raise InputError(shown)
