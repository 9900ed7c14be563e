"""Rows whose input is a file: where it lies, what it holds, and whether it can be read."""

from __future__ import annotations

import functools
import hashlib
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgesft.data import files
from edgesft.errors import InputError, Problem

Row = Mapping[str, Any]

INSIDE = ".zip#"
"""Between an archive, whose name ends so, and the name of a file in it."""


class File(str):
    """The path of a file that is a row's input, `archive.zip#name` for one in an archive.

    What is the same input are files of the same bytes, wherever they lie.
    """

    __slots__ = ()

    def read(self) -> bytes:
        """What it holds.

        Raises:
            OSError: It is not there; KeyError where an archive lacks it, BadZipFile where an archive is damaged.
        """
        archive, inside, name = self.partition(INSIDE)
        if inside and not Path(self).is_file():
            return _opened(f"{archive}{INSIDE[:-1]}").read(name)
        return Path(self).read_bytes()

    @property
    def source(self) -> str | bytes:
        """As readers want it: the path itself, or what a file in an archive holds."""
        return self.read() if INSIDE in self and not Path(self).is_file() else str(self)

    def digest(self) -> str:
        """Of its bytes; of its name where it cannot be read."""
        archive, inside, _ = self.partition(INSIDE)
        try:
            place = Path(f"{archive}{INSIDE[:-1]}") if inside and not Path(self).is_file() else Path(self)
            stat = place.stat()
            return _digest(self, stat.st_mtime_ns, stat.st_size)
        except (OSError, KeyError, zipfile.BadZipFile):
            return hashlib.sha256(f"no file {self}".encode()).hexdigest()


@functools.cache
def _digest(file: File, changed: int, size: int) -> str:
    return hashlib.sha256(file.read()).hexdigest() if INSIDE in file else files.sha256(Path(file))


@functools.lru_cache(maxsize=4)
def _opened(archive: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(archive)


def source(value: Any) -> str | bytes | np.ndarray:
    """What readers take of a row's input: a path, what a file holds, or an array.

    Raises:
        OSError: It is not there, or its archive is damaged.
    """
    try:
        return value.source if isinstance(value, File) else value  # type: ignore[no-any-return]
    except (KeyError, zipfile.BadZipFile) as error:
        raise OSError(f"the archive lacks it or is damaged: {error}") from error


class Medium(ABC):
    """A kind of file that models read. Stateless."""

    role: ClassVar[str]
    """Of the rows' input; also its column, unless a recipe says otherwise."""
    further: ClassVar[tuple[str, ...]] = ()
    """Roles of other such files that rows may have."""
    suffixes: ClassVar[frozenset[str]]
    """Of files that are taken for it in a folder, in lower case."""
    field: ClassVar[str]
    """Of a recipe's data, which says how they are read."""
    several: ClassVar[str]
    """What many of them are called."""
    library: ClassVar[str]
    """The distribution that reads them; another version may find others to be damaged."""
    unlikeness: ClassVar[str] = "are not what their rows say"
    """What is said of files that are `unlike` their rows."""
    remedy: ClassVar[str] = "correct the rows"
    """And what to do about it."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @abstractmethod
    def look(self, value: str | bytes | np.ndarray) -> dict[str, str]:
        """What a row's input is: facts by kind.

        Raises:
            OSError: It cannot be read; the text says why.
            UnavailableError: The library that reads it is not installed.
        """

    def unlike(self, row: Row, found: Mapping[str, str]) -> str:
        """Why a row's input is not what the row itself says of it; by default it says nothing.

        Args:
            row: By role.
            found: What the input is (`look`).
        """
        return ""

    @abstractmethod
    def findings(self, split: str, found: Inspection, options: Mapping[str, Any]) -> tuple[list[Problem], list[str]]:
        """What is wrong with what rows are, and what is done to them that a person should know.

        Args:
            split: Its name.
            found: What they are.
            options: The recipe's.
        """

    def files_of(self, names: Iterable[str]) -> Iterator[str]:
        """Those of the names that are of this kind, sorted; hidden ones and what macOS adds to archives are not."""
        for name in sorted(names):
            parts = name.split("/")
            hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
            if not hidden and Path(name).suffix.lower() in self.suffixes:
                yield name


@dataclass(frozen=True)
class Inspection:
    """What rows turned out to be.

    Attributes:
        faults: Row number, from 0 → why it cannot be read.
        unlike: The same of those that can be → why it is not what the row says.
        seen: What the others are, and how many of them: pairs of a kind of fact and its value.
    """

    faults: Mapping[int, str]
    unlike: Mapping[int, str]
    seen: Mapping[tuple[str, str], int]

    @property
    def left_out(self) -> list[int]:
        """Rows that nothing is made of."""
        return [*self.faults, *self.unlike]


@dataclass(frozen=True)
class FileColumn:
    """A column whose values are files, and perhaps others beside it.

    Attributes:
        name: Of the input's column.
        medium: What the files are.
        folders: Column → folder that its relative paths start from, where that is not the table's.
        beside: Further columns of files, which not every row need have.
    """

    name: str
    medium: Medium
    folders: Mapping[str, Path] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    def of(self, row: Row) -> list[str]:
        """The columns of files that a row has."""
        return [name for name in (self.name, *self.beside) if name in row]

    def anchored(self, row: Row, folder: Path) -> Row:
        """A row whose paths start from their folders; by default from the one given."""
        found = {name: anchored(row[name], self.folders.get(name, folder)) for name in self.of(row)}
        return {**row, **found}


def named(value: Any, number: int) -> str:
    """What a message calls a row's input: its path, or the row's number, counted from 0."""
    return repr(str(value)) if isinstance(value, str) else f"row {number + 1}"


def anchored(value: Any, folder: Path) -> Any:
    """A value of a column of files: a path becomes a `File`, a relative one from the folder.

    Args:
        value: As a table has it: a path, the bytes themselves, or both by name (`datasets`, parquet).
        folder: Where relative paths start.
    """
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    return File(folder / Path(value).expanduser()) if type(value) is str else value


def refused(file: Any, why: object) -> InputError:
    """The error of a row that cannot be read where it was to be encoded."""
    return InputError(f"{named(file, 0) if isinstance(file, str) else 'a row'}: cannot be read: {why}")
