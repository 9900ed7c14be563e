"""Where the rows of a split come from: a file, a folder, or the Hugging Face hub."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.data import files, hub, loading
from edgesft.errors import Problem
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

    @abstractmethod
    def digest(self) -> list[str]:
        """What content keys depend on: its bytes and how they are read."""


@dataclass(frozen=True)
class FileSource(Source):
    """A file of rows."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def resolved(self) -> str:
        """The full path."""
        return str(self.path.absolute())

    def missing(self, field: str) -> Problem | None:
        """A problem naming the nearest file."""
        return files.missing(self.path, field)

    def rows(self, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """All columns, as the format's reader gives them."""
        return loading.stream(self.path)

    def digest(self) -> list[str]:
        """Of the bytes, and the suffix that the format follows from."""
        return [files.sha256(self.path), self.path.suffix.lower()]


@dataclass(frozen=True)
class DatasetSource(Source):
    """A split of what `datasets` reads: at an address on the hub, itself without a split, or in a folder."""

    place: HubAddress | Path
    split: str

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
        return hub.rows(hub.split_of(self.place, self.split), wanted)

    def digest(self) -> list[str]:
        """Of the content, wherever it lies."""
        return [hub.digest(hub.split_of(self.place, self.split)), "datasets"]


def find(text: str, base: Path, split: str) -> Source:
    """What a recipe names.

    Args:
        text: A file, `folder#split`, or `hub://owner/name/configuration#split`.
        base: Folder that relative paths start from.
        split: Split of a data set where the text names none.
    """
    if text.startswith(PREFIX):
        address = HubAddress.parse(text)
        return DatasetSource(HubAddress(address.name, address.configuration), address.split or split)
    path = files.place(text, base)
    if path.is_dir():
        return DatasetSource(path, split)
    folder, hash_sign, named = text.rpartition("#")
    if hash_sign and not path.is_file() and files.place(folder, base).is_dir():
        return DatasetSource(files.place(folder, base), named)
    return FileSource(path)
