"""Folders of files, and zip archives of them, as rows: a folder a class, or a table of paths."""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from edgesft.data import files, loading
from edgesft.data.media.medium import File, FileColumn, Row
from edgesft.errors import InputError

LABEL = "label"

ZIP = ".zip"

CALLED = {"train": ("train", "training"), "validation": ("validation", "val", "valid", "dev"), "test": ("test",)}
"""What folders of a split are called."""

TABLES = ("metadata.csv", "metadata.jsonl")
"""A table of this name among the files says what they are, as `datasets` has it."""

DEEP = 2
"""Folders that a file lies in at least, where one lies around those of the classes."""


class Tree:
    """The files within a folder, or within an archive, as rows."""

    def __init__(self, root: Path, column: FileColumn, inside: str = "") -> None:
        """Names it; nothing is read.

        Args:
            root: The folder or archive.
            column: What of a row is a file, and of which kind.
            inside: A folder in it, or a table, to which the rows are confined.
        """
        self._root, self._column, self._inside = root, column, inside.strip("/")

    def within(self, split: str) -> str:
        """The folder of a split, where there is one that has folders of files or a table in it; else what all files lie
        in: an empty text, or a folder around the folders of the classes.

        Raises:
            InputError: The archive is damaged.
        """
        around = self.around
        for name in CALLED.get(split, (split,)):
            folder = f"{around}/{name}" if around else name
            files_in = [name for name in self._media if name.startswith(f"{folder}/")]
            deep = folder.count("/") + DEEP
            if self._listed(f"{folder}/") or any(name.count("/") >= deep for name in files_in):
                return folder
        return around

    @cached_property
    def around(self) -> str:
        """The one folder that all others lie in, as packing a folder leaves it; empty where there is none.

        A folder of a split is none, and neither is that of a single class: files lie in it, not folders.

        Raises:
            InputError: The archive is damaged.
        """
        tops = {name.partition("/")[0] for name in self._media}
        if len(tops) != 1 or self._listed("") or (top := tops.pop()) in itertools.chain(*CALLED.values()):
            return ""
        return top if self._listed(f"{top}/") or all(name.count("/") >= DEEP for name in self._media) else ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing of the kind."""
        return not self._table and not self._chosen

    def rows(self) -> Iterator[dict[str, Any]]:
        """By a table among the files, what that says; else a row for each file, its label the folder that it is in.

        Raises:
            InputError: The archive is damaged, or holds nothing of the kind.
        """
        if self._table:
            yield from self._of_table(self._table)
            return
        for name in self._chosen:
            folder, slash, _ = name.removeprefix(f"{self._inside}/").partition("/")
            yield {self._column.name: self._file(name), **({LABEL: folder} if slash else {})}

    def digest(self) -> str:
        """Of the names and the contents."""
        if self._root.is_file():
            return files.sha256(self._root)
        total = hashlib.sha256()
        for name in [self._table] if self._table else self._chosen:
            total.update(f"{name}\0{self._file(name).digest()}\n".encode())
        if self._table:
            for row in self.rows():
                total.update("".join(f"{each}\n" for each in digests_of(row, self._column)).encode())
        return total.hexdigest()

    def _listed(self, folder: str) -> bool:
        """Whether a table lies in a folder, whose name ends in a slash, or is empty."""
        return any(f"{folder}{table}" in self._names for table in TABLES)

    @cached_property
    def _names(self) -> frozenset[str]:
        if not self._root.is_file():
            return frozenset(_listed(self._root))
        try:
            with zipfile.ZipFile(self._root) as archive:
                return frozenset(info.filename for info in archive.infolist() if not info.is_dir())
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(
                f"'{self._root}' must be a zip archive, got: {error}", "download or pack it again"
            ) from error

    @cached_property
    def _media(self) -> list[str]:
        return list(self._column.medium.files_of(self._names))

    @cached_property
    def _chosen(self) -> list[str]:
        return [name for name in self._media if not self._inside or name.startswith(f"{self._inside}/")]

    @cached_property
    def _table(self) -> str:
        if self._inside in self._names:
            return self._inside
        places = (f"{self._inside}/{table}" if self._inside else table for table in TABLES)
        return next((place for place in places if place in self._names), "")

    def _file(self, name: str) -> File:
        return File(f"{self._root}#{name}" if self._root.is_file() else self._root / name)

    def _of_table(self, table: str) -> Iterator[dict[str, Any]]:
        folder = PurePosixPath(table).parent
        for row in self._read(table):
            paths = {name: row[name] for name in self._column.of(row) if isinstance(row[name], str)}
            yield {**row, **{name: self._file((folder / path).as_posix()) for name, path in paths.items()}}

    def _read(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table; of one in an archive, faults are told under its name there."""
        if not self._root.is_file():
            return loading.read(self._root / table)
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / PurePosixPath(table).name
            copy.write_bytes(self._file(table).read())
            try:
                return loading.read(copy)
            except InputError as error:
                told = [
                    replace(each, message=each.message.replace(str(copy), self._file(table))) for each in error.problems
                ]
                raise InputError(told) from None


def _listed(root: Path) -> Iterator[str]:
    """The files of a folder and of those in it, named from there; in about half the time of `Path.rglob`.

    Links are followed, but for those to a folder that they lie in.
    """
    within = {root: {root.resolve()}}  # Of a folder itself and those that it lies in.
    for place, folders, names in os.walk(root, followlinks=True):
        folder = Path(place)
        around = within.pop(folder)
        for name in list(folders):
            if (real := (folder / name).resolve()) in around:
                folders.remove(name)
            else:
                within[folder / name] = {*around, real}
        above = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
        yield from (above + name for name in names if (folder / name).is_file())


def digests_of(row: Row, column: FileColumn) -> list[str]:
    """Of each file that a row has."""
    return [digest_of(row.get(column.name)), *(digest_of(row[name]) for name in column.beside if name in row)]


def digest_of(value: Any) -> str:
    """Of what a column of files has."""
    if isinstance(value, File):
        return value.digest()
    return hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()
