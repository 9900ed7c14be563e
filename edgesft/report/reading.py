"""Results among the words of a command line: folders of runs, and files of any of edgesft's JSON documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, Problem

RESULTS = "results.json"

SCHEMAS = {"edgesft/results": "a run", "edgesft/bench": "a bench", "edgesft/check": "a check"} | {
    "edgesft/compare": "a comparison",
    "edgesft/history": "a history",
}
"""Schema → what it is of."""

VERSION = 1

SNIFFED = 4096

DAMAGED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What documents that are not what they say end in."""

DEEPEST = 6
"""Folders below the one that is searched."""


@dataclass(frozen=True)
class Read:
    """A document and where it was.

    Attributes:
        name: What people call it: its run's folder, or its file.
        file: Where it was.
        document: What it holds.
    """

    name: str
    file: Path
    document: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its schema."""
        return str(self.document["schema"])

    @property
    def page(self) -> Path:
        """Where its page belongs."""
        return self.file.with_name("report.html") if self.file.name == RESULTS else self.file.with_suffix(".html")


def read(words: Sequence[str]) -> list[Read]:
    """The documents that the words name; a run on several profiles is several.

    Raises:
        InputError: Everything that is wrong with them.
    """
    found: list[Read] = []
    wrong: list[Problem] = []
    if not words:
        wrong.append(Problem("report must be given a run, got none", "edgesft report runs/NAME, or --serve runs"))
    for word in words:
        files = list(_files(Path(word)))
        if not files:
            wrong.append(Problem(f"run must be a folder with {RESULTS} or a JSON file, got '{word}'"))
        for file in files:
            one = load(file)
            if isinstance(one, Problem):
                wrong.append(one)
            else:
                found.append(Read(named(file, one), file, one))
    if wrong:
        raise InputError(wrong)
    return found


def load(file: Path) -> Mapping[str, Any] | Problem:
    """The document in a file, or what is wrong with it."""
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return Problem(f"'{file}' must be JSON that edgesft wrote, got: {error}")
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema not in SCHEMAS:
        return Problem(f"'{file}' must be of {', '.join(SCHEMAS.values())}, got schema {schema!r}")
    if data.get("schema_version") != VERSION:
        return Problem(
            f"'{file}' must be of schema version {VERSION}, got {data.get('schema_version')!r}",
            "the version of edgesft that wrote it",
        )
    return dict(data)


def named(file: Path, document: Mapping[str, Any]) -> str:
    """`demo` for `runs/demo/results.json`, `demo/phone` for its results on one of several profiles, else the file's."""
    if file.name != RESULTS:
        return file.stem
    folder = file.resolve().parent
    return f"{folder.parent.name}/{folder.name}" if folder.name == document.get("profile") else folder.name


def ours(file: Path) -> bool:
    """Whether a file may be edgesft's, by its name or its first bytes: others may be large, and are not read."""
    if file.name == RESULTS:
        return True
    try:
        with file.open("rb") as opened:
            return b'"edgesft/' in opened.read(SNIFFED)
    except OSError:
        return False


def below(folder: Path) -> Iterator[Path]:
    """Every JSON file of edgesft's in a folder and those in it, hidden ones left out."""
    found = (
        file
        for file in folder.rglob("*.json")
        if len(place := file.relative_to(folder).parts) <= DEEPEST and not any(part.startswith(".") for part in place)
    )
    return iter(sorted(file for file in found if file.is_file() and ours(file)))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif (path / RESULTS).is_file():
        yield path / RESULTS
    elif path.is_dir():
        # Of a run on several profiles, each has a folder.
        yield from sorted(path.glob(f"*/{RESULTS}"))
