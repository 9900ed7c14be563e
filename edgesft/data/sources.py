"""Where the rows of a split come from: a file, a folder, or the Hugging Face hub."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesft.data import files, hub, loading
from edgesft.data.media.folders import ZIP, Tree, digests_of
from edgesft.data.media.medium import FileColumn
from edgesft.errors import InputError, Problem
from edgesft.spec.hub import PREFIX, HubAddress


class Source(ABC):
    """Rows that can be read again and again."""

    @abstractmethod
    def __str__(self) -> str:
        """As messages name it."""

    @property
    @abstractmethod
    def resolved(self) -> str:
        """As a recipe in any folder would name it."""

    @abstractmethod
    def missing(self, field: str) -> Problem | None:
        """A problem where it is not there, as far as that is seen without reading it."""

    @abstractmethod
    def rows(self, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The rows in order, with the wanted columns at least.

        Raises:
            InputError: It cannot be read, or is empty; some of the rows may have been given by then.
            UnavailableError: A library is not installed, or the hub not in reach.
        """

    def notes(self) -> list[str]:
        """What a person should know of it once its rows were read; by default nothing."""
        return []

    @abstractmethod
    def digest(self) -> list[str]:
        """What content keys depend on: its bytes and how they are read."""


SPLIT = "split"
"""Column of a table that holds several splits."""


@dataclass(frozen=True)
class FileSource(Source):
    """A file of rows.

    Attributes:
        path: Where it lies.
        column: What of a row is a file of its own, if anything.
        split: Value of the column `split` of the rows that are meant; None means all.
    """

    path: Path
    column: FileColumn | None = None
    split: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.split is None else f"{self.path}#{self.split}"

    @property
    def resolved(self) -> str:
        """The full path, with the split."""
        return str(self.path.absolute()) + ("" if self.split is None else f"#{self.split}")

    def missing(self, field: str) -> Problem | None:
        """A problem naming the nearest file."""
        return files.missing(self.path, field)

    def rows(self, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """All columns, as the format's reader gives them, but files as such."""
        rows = loading.stream(self.path) if self.split is None else self._of_split(self.split)
        if self.column is None:
            return rows
        column, folder = self.column, self.path.absolute().parent
        return (dict(column.anchored(row, folder)) for row in rows)

    def _of_split(self, split: str) -> Iterator[dict[str, Any]]:
        there = dict[str, None]()
        for row in loading.stream(self.path):
            if SPLIT not in row:
                message = f"{self}: must have the column 'split', got {', '.join(map(repr, row))}"
                raise InputError(message, f"{self.path} for all of its rows")
            there[str(row[SPLIT])] = None
            if str(row[SPLIT]) == split:
                yield row
        if split not in there:
            named = ", ".join(map(repr, there))
            raise InputError(f"{self}: must name a value of the column 'split', got {split!r} where there are {named}")

    def notes(self) -> list[str]:
        """What a file of boxes says besides (`loading.notes`)."""
        return loading.notes(self.path)

    def digest(self) -> list[str]:
        """Of the bytes, and the suffix that the format follows from; of its rows' files, where these are some."""
        found = [files.sha256(self.path), self.path.suffix.lower(), *([] if self.split is None else [self.split])]
        found += [files.sha256(place) for place in loading.companions(self.path)]
        if self.column is not None:
            total = hashlib.sha256()
            for row in self.rows():
                total.update("".join(digests_of(row, self.column)).encode())
            found.append(total.hexdigest())
        return found


@dataclass(frozen=True)
class TreeSource(Source):
    """A folder or a zip archive of files, with a folder a class or a table of their paths.

    Attributes:
        root: The folder or archive.
        column: What of a row is a file.
        inside: Folder or table in it that is meant; empty means all.
    """

    root: Path
    column: FileColumn
    inside: str = ""

    def __str__(self) -> str:
        return f"{self.root}#{self.inside}" if self.inside else str(self.root)

    @property
    def resolved(self) -> str:
        """The full path, with what is meant in it."""
        return str(self.root.absolute()) + (f"#{self.inside}" if self.inside else "")

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self.root.absolute(), self.column, self.inside)

    def missing(self, field: str) -> Problem | None:
        """A problem where there are no files of the kind."""
        try:
            empty = self._tree.empty
        except InputError as error:
            return error.problems[0]
        if not empty:
            return None
        kinds = ", ".join(sorted(self.column.medium.suffixes))
        several = self.column.medium.several
        return Problem(f"{field}: must hold {several}, got none in '{self}'", f"a folder a class, of files {kinds}")

    def rows(self, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The files in the order of their names, each with its folder as label; or what a table says of them."""
        return self._tree.rows()

    def digest(self) -> list[str]:
        """Of names and contents."""
        return [self._tree.digest(), self.inside, "tree"]


@dataclass(frozen=True)
class DatasetSource(Source):
    """A split of what `datasets` reads: at an address on the hub, itself without a split, or in a folder."""

    place: HubAddress | Path
    split: str
    column: FileColumn | None = None

    def __str__(self) -> str:
        return f"{self.place}#{self.split}"

    @property
    def resolved(self) -> str:
        """The address, or the full path, with the split."""
        return f"{self.place.absolute()}#{self.split}" if isinstance(self.place, Path) else str(self)

    def missing(self, field: str) -> Problem | None:
        """A problem where a folder is empty; what is on the hub is not asked."""
        if isinstance(self.place, Path) and not any(item.is_file() for item in self.place.rglob("*")):
            return files.missing(self.place, field)
        return None

    def rows(self, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The wanted columns where all are there, else all; classes by their names."""
        rows = hub.rows(hub.split_of(self.place, self.split), wanted)
        if self.column is None:
            return rows
        column, folder = self.column, self.place if isinstance(self.place, Path) else Path()
        return (dict(column.anchored(row, folder)) for row in rows)

    def digest(self) -> list[str]:
        """Of the content, wherever it lies."""
        return [hub.digest(hub.split_of(self.place, self.split)), "datasets"]


def find(text: str, base: Path, split: str, column: FileColumn | None = None) -> Source:
    """What a recipe names.

    Args:
        text: A file, `file#split` by its column of that name, `folder#split`, or
            `hub://owner/name/configuration#split`.
        base: Folder that relative paths start from.
        split: Split of a data set where the text names none.
        column: What of a row is a file, where the rows have some.
    """
    if text.startswith(PREFIX):
        address = HubAddress.parse(text)
        return DatasetSource(HubAddress(address.name, address.configuration), address.split or split, column)
    path, named = files.place(text, base), None
    if not path.exists() and "#" in text:
        before, _, after = text.rpartition("#")
        if files.place(before, base).exists():
            path, named = files.place(before, base), after
    if column is not None and (found := _tree(path, column, split, named)):
        return found
    if path.is_dir():
        return DatasetSource(path, named or split, column)
    return FileSource(path, column, named)


def _tree(path: Path, column: FileColumn, split: str, named: str | None) -> Source | None:
    """A folder or an archive of files; None for what is none, or was saved by `datasets`."""
    if path.is_file() and path.suffix.lower() == ZIP:
        return TreeSource(path, column, _inside(path, column, split, named))
    if not path.is_dir() or any((path / name).is_file() for name in hub.SAVED):
        return None
    inside = _inside(path, column, split, named)
    return None if Tree(path, column, inside).empty else TreeSource(path, column, inside)


def _inside(path: Path, column: FileColumn, split: str, named: str | None) -> str:
    try:
        return Tree(path, column).within(split) if named is None else named
    except InputError:
        return ""  # A damaged archive, which `missing` tells of.
