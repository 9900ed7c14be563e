"""Where the rows of each split lie, and the digest of what is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesft.data import files, sources
from edgesft.data.join import joined
from edgesft.data.media.medium import FileColumn, Medium
from edgesft.data.sources import Source
from edgesft.errors import InputError
from edgesft.spec.interactions import LAST
from edgesft.spec.recipe import DataSpec, Files

SPLITS = ("train", "validation", "test")

VERSION = 3
"""Raised when the same files and settings would give a task other rows."""

ALONE = ""
"""Name of a split's only file."""


def column(data: DataSpec, medium: Medium | None, base: Path = Path()) -> FileColumn | None:
    """The column whose values are files, if rows have one, and those beside it.

    Args:
        data: The recipe's `data`.
        medium: What the files are.
        base: Folder that relative ones of `data.folders` start from.
    """
    if medium is None:
        return None
    named = {role: data.columns.get(role, role) for role in (medium.role, *medium.further)}
    folders = {named[role]: files.place(text, base).absolute() for role, text in data.folders.items() if role in named}
    return FileColumn(named.pop(medium.role), medium, folders, tuple(named.values()))


def located(value: Files, base: Path, split: str, column: FileColumn | None = None) -> dict[str, Source]:
    """Where the rows of a split are, by head; `ALONE` where there is but one place."""
    named = {ALONE: value} if isinstance(value, str) else value
    return {head: sources.find(text, base, split, column) for head, text in named.items()}


def find(data: DataSpec, base: Path, medium: Medium | None) -> dict[str, dict[str, Source]]:
    """Where the rows are, by split, then by head; all that are missing are reported at once."""
    named = {name: value for name, value in data.files().items() if not (name == "validation" and data.fold)}
    of = column(data, medium, base)
    found = {
        name: {head: joined(place, data.join, base) for head, place in located(value, base, name, of).items()}
        for name, value in named.items()
    }
    problems = [
        problem
        for name, heads in found.items()
        for head, place in heads.items()
        if (problem := place.missing(f"data.{name}.{head}" if head else f"data.{name}"))
    ]
    if problems:
        raise InputError(list(dict.fromkeys(problems)))  # What is joined may be missed by every split.
    return found


def shares(data: DataSpec) -> dict[str, float]:
    """What validation and test take of train, for those that have no file of their own."""
    found = {name: share for name in SPLITS[1:] if isinstance(share := getattr(data, name), float)}
    if data.fold:
        found.pop("validation", None)
    return found


def digest(data: DataSpec, base: Path, medium: Medium | None = None) -> str:
    """Content digest for cache keys: the rows' bytes and how they are to be read; no file is parsed, but a table of
    paths, whose files count as well.

    Raises:
        InputError: A file does not exist.
        UnavailableError: A data set is not on this machine, and the hub not in reach.
    """
    facts = {
        "version": VERSION,
        "files": {name: _content(found) for name, found in find(data, base, medium).items()},
        "shares": shares(data),
        "columns": data.columns,
        **data.options(),
        # What is not set leaves the key as it was before there was such a setting.
        **{name: value for name in ("group", "per_class", "fold") if (value := getattr(data, name)) is not None},
        **{name: LAST for name in SPLITS if getattr(data, name) == LAST},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _content(found: Mapping[str, Source]) -> Any:
    """Digest of what a split is read from, or of each by name."""
    each = {head: place.digest() for head, place in found.items()}
    return each.get(ALONE, each)
