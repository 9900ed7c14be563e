"""The documents below a folder, read again only where they changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, Problem
from edgesft.report import reading, runs
from edgesft.report.formats import RUN

Stamp = tuple[int, int]

FIGURES = ("value", "p50_ns", "p95_ns", "size_bytes")
"""Of a run's row."""


class Folder:
    """What lies below a folder.

    Attributes:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        """Looks whether it is there.

        Raises:
            InputError: It is not.
        """
        if not root.is_dir():
            raise InputError(f"--serve must be a folder, got '{root}'", "--serve runs")
        self.root = root.resolve()
        self._read: dict[str, tuple[Stamp, Mapping[str, Any] | Problem]] = {}

    def documents(self) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
        """Identity → document, and what is wrong with files that claim to be edgesft's.

        An identity is the file's path below the folder: nothing else can be asked for.
        """
        found, wrong, there = {}, [], set()
        for file in reading.below(self.root):
            identity = file.relative_to(self.root).as_posix()
            if (stamp := _stamp(file)) is None:
                continue
            there.add(identity)
            known = self._read.get(identity)
            if known is None or known[0] != stamp:
                known = self._read[identity] = (stamp, reading.load(file))
            if not isinstance(known[1], Problem):
                found[identity] = known[1]
            elif file.name == reading.RESULTS:
                wrong.append(str(known[1]))
        self._read = {identity: each for identity, each in self._read.items() if identity in there}
        return found, wrong

    def rows(self, found: Mapping[str, Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        """A row of the index for each document, and which are damaged and have none."""
        rows, wrong = [], []
        for identity, document in found.items():
            try:
                rows.append(_sound(self._row(identity, document)))
            except reading.DAMAGED:
                wrong.append(f"'{identity}' was not written by edgesft, or is damaged")
        return rows, wrong

    def name(self, identity: str) -> str:
        """What a person calls a document: its folder below the root, or its file."""
        path = Path(identity)
        return (
            (path.parent.as_posix() if path.parent != Path() else self.root.name)
            if path.name == reading.RESULTS
            else identity
        )

    def stamp(self, identity: str) -> Stamp | None:
        """Changes when the file does."""
        return _stamp(self.root / identity)

    def _row(self, identity: str, document: Mapping[str, Any]) -> dict[str, Any]:
        stamp = self.stamp(identity)
        when = datetime.fromtimestamp(stamp[0] / 1e9).astimezone().isoformat(" ", "minutes")[:16] if stamp else ""
        row = {
            "identity": identity,
            "name": self.name(identity),
            "kind": document["schema"],
            "verdict": document.get("verdict"),
            "profile": _profile(document),
            "when": when,
        }
        if document["schema"] != RUN:
            return row
        (figures,) = runs.document([(row["name"], document)])["runs"]
        return row | {name: figures[name] for name in ("metric", *FIGURES)}


def _sound(row: dict[str, Any]) -> dict[str, Any]:
    """The row, whose values are of the kinds that an index can sort.

    Raises:
        TypeError: They are not.
    """
    for name, value in row.items():
        if value is not None and not isinstance(value, int | float if name in FIGURES else str):
            raise TypeError(f"{name} must not be {value!r}")
    return row


def _profile(document: Mapping[str, Any]) -> str | None:
    found = document.get("profile")
    return found["name"] if isinstance(found, Mapping) else found


def _stamp(file: Path) -> Stamp | None:
    try:
        told = file.stat()
    except OSError:  # Gone since it was listed.
        return None
    return told.st_mtime_ns, told.st_size
