"""What the files of rows turned out to be. A file is looked at once, and remembered from one command to the next."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data.media.medium import File, Inspection, Medium, named, source
from edgesft.errors import Problem, UnavailableError
from edgesft.store.keys import key
from edgesft.store.store import Store

Row = Mapping[str, Any]
Facts = Mapping[str, str]

VERSION = 3
"""Raised when other things are found of the same files."""

MISSING = "there is no such file"

SHOWN = 3
"""Files named in a message before it says how many more there are."""

_KNOWN: dict[tuple[Medium, str], Facts] = {}
"""Of files this process has looked at, by their digests."""


def inspect(medium: Medium, rows: Sequence[Row], store: Store | None = None) -> Inspection:
    """Reads every row's input once.

    Args:
        medium: What the inputs are.
        rows: All rows.
        store: Where what was found of files is remembered; by default the usual one.

    Raises:
        UnavailableError: The library that reads it is not installed.
    """
    _recall(medium, rows, store or Store())
    faults, unlike, seen = dict[int, str](), dict[int, str](), Counter[tuple[str, str]]()
    for number, row in enumerate(rows):
        for role, value in _inputs(medium, row):
            try:
                found = facts(medium, value)
            except OSError as error:
                # Messages name a row by its first file.
                faults[number] = str(error) if role == medium.role else f"{role} {named(value, number)}: {error}"
                break
            if role == medium.role and (why := medium.unlike(row, found)):
                unlike[number] = why
                break
            seen.update(found.items())
    return Inspection(faults, unlike, seen)


def facts(medium: Medium, value: Any) -> Facts:
    """What a row's input is (`Medium.look`).

    Raises:
        OSError: It cannot be read.
        UnavailableError: The library that reads it is not installed.
    """
    if isinstance(value, File):
        about = (medium, value.digest())
        if about not in _KNOWN:
            found = source(value)
            if isinstance(found, str) and not Path(found).exists():
                raise OSError(MISSING)
            _KNOWN[about] = medium.look(found)
        return _KNOWN[about]
    if not isinstance(value, bytes | np.ndarray):
        raise OSError(f"must be a path, got {type(value).__name__}")
    return medium.look(value)


def _inputs(medium: Medium, row: Row) -> Iterator[tuple[str, Any]]:
    return ((role, row[role]) for role in (medium.role, *medium.further) if role in row)


def _recall(medium: Medium, rows: Sequence[Row], store: Store) -> None:
    """Makes `_KNOWN` know the rows' files, by the store where the same ones were looked at before."""
    files = [value for row in rows for _, value in _inputs(medium, row) if isinstance(value, File)]
    if not files:
        return
    digests = [file.digest() for file in files]
    content = hashlib.sha256("".join(digests).encode()).hexdigest()
    try:
        about = {
            "version": VERSION,
            "files": content,
            "medium": type(medium).__name__,
            "library": metadata.version(medium.library),
        }
        kinds, numbers = store.record(key(about), lambda: _table(medium, files))
    except (UnavailableError, metadata.PackageNotFoundError):
        return  # Nothing can be stored, or read: whoever looks next does without, or tells of it.
    for digest, number in zip(digests, numbers, strict=True):
        if number is not None:
            _KNOWN[medium, digest] = kinds[number]


def _table(medium: Medium, files: Sequence[File]) -> tuple[list[Facts], list[int | None]]:
    """All different facts, and which of them each file has; None for what cannot be read, which is tried each time."""
    places: dict[tuple[tuple[str, str], ...], int] = {}
    numbers: list[int | None] = []
    for file in files:
        try:
            numbers.append(places.setdefault(tuple(facts(medium, file).items()), len(places)))
        except OSError:
            numbers.append(None)
    return [dict(each) for each in places], numbers


def unreadable(
    split: str, medium: Medium, rows: Sequence[Row], inspected: Inspection, most: float
) -> tuple[list[Problem], list[str]]:
    """What to say of rows that cannot be read or are not what they say: problems where both are more than a share of
    the rows, else warnings.
    """
    hint = "repair or remove them; data.unreadable states the share that may be left out"
    missing = any(MISSING in why for why in inspected.faults.values())
    start = f"data.folders={{{medium.role}: FOLDER}} says where relative paths start; or " if missing else ""
    found = [
        (_told(split, medium, rows, inspected.faults, "cannot be read"), f"{start}{hint}"),
        (_told(split, medium, rows, inspected.unlike, medium.unlikeness), f"{medium.remedy}; or {hint}"),
    ]
    if len(inspected.left_out) > most * len(rows):
        return [Problem(told, hint) for told, hint in found if told], []
    return [], [f"{told}; they are left out" for told, _ in found if told]


def _told(split: str, medium: Medium, rows: Sequence[Row], of: Mapping[int, str], what: str) -> str:
    """How many of the rows there is something to say of, and of the first ones why; empty where there are none."""
    shown = [f"{named(rows[number][medium.role], number)} ({why})" for number, why in list(of.items())[:SHOWN]]
    more = f" and {len(of) - SHOWN} more" if len(of) > SHOWN else ""
    count = f"{len(of)} of {len(rows)} {medium.several} ({len(of) / max(1, len(rows)):.2%})"
    return f"data.{split}: {count} {what}: {', '.join(shown)}{more}" if of else ""
