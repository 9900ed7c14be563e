"""Results files among the words of a command line: files, folders and patterns."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, Problem
from edgesft.gate.records import VERSIONS, Record, records

NO_FILE = "the files that 'edgesft check … --also json=FILE' wrote, or their folder"


@dataclass
class Tally:
    """What became of the files.

    Attributes:
        files: That were read and count.
        skipped: Names of those of a folder that are JSON of another kind.
        damaged: Names of those of a folder that are no JSON, and nothing of edgesft's.
        twice: That are copies of others.
    """

    files: int = 0
    skipped: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    twice: int = 0


def read(words: Sequence[str], tally: Tally) -> list[Record]:
    """Every record of the files, in the order in which they were found.

    Raises:
        InputError: With the problems of all files.
    """
    found: list[Record] = []
    wrong: list[Problem] = []
    paths, contents = set(), set()
    for path, named in _files(words, wrong):
        if (whole := path.resolve()) in paths:
            continue
        paths.add(whole)
        try:
            content = _content(path)
            data = _data(path, content, named, tally)
            if data is None:
                continue
            if (digest := hashlib.sha256(content).digest()) in contents:
                tally.twice += 1
                continue
            contents.add(digest)
            found += records(str(path), data)
            tally.files += 1
        except InputError as error:
            wrong += error.problems
    if wrong:
        raise InputError(wrong)
    return found


def _files(words: Sequence[str], wrong: list[Problem]) -> Iterator[tuple[Path, bool]]:
    """Every file, and whether it was named: what a folder or a pattern finds may be something else."""
    for word in words:
        path = Path(word)
        try:
            if path.is_dir():
                yield from _found([path])
            elif path.exists():
                yield path, True
            elif glob.has_magic(word):
                # Path.glob takes no pattern that begins at the root.
                matched = [Path(each) for each in glob.glob(word, recursive=True)]  # noqa: PTH207
                if not matched:
                    wrong.append(Problem(f"'{word}' must match at least one file, got none", NO_FILE))
                yield from _found(matched)
            else:
                wrong.append(Problem(f"'{word}' must be a file, a folder or a pattern, got none of them", NO_FILE))
        except OSError as error:
            wrong.append(Problem(f"'{word}' must be a file, a folder or a pattern, got: {error.strerror}", NO_FILE))


def _found(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    for path in sorted(paths, key=natural):
        inside = sorted(path.rglob("*.json"), key=natural) if path.is_dir() else [path]
        yield from ((file, False) for file in inside if file.is_file())


def natural(name: object) -> list[tuple[int, str]]:
    """A key that sorts `run-2` before `run-10`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", str(name))]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' must be a file that can be read, got: {error.strerror}") from None


def _data(path: Path, content: bytes, named: bool, tally: Tally) -> dict[str, Any] | None:
    """A results file as it stands there, or None for another one that was only found.

    Raises:
        InputError: It is damaged or cannot be read; it was named and is no results file.
    """
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        # A cut-off results file must not go unseen; one of another program is not ours to judge.
        if named or b'"edgesft/' in content:
            raise InputError(f"'{path}' must be whole JSON, got {_damage(error)}", "copy it again") from None
        tally.damaged.append(str(path))
        return None
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(schema, str) and schema in VERSIONS:
        return data
    if named:
        got = type(data).__name__ if not isinstance(data, dict) else f"the schema {schema!r}"
        raise InputError(f"'{path}' must be of one of the schemas {', '.join(VERSIONS)}, got {got}", NO_FILE)
    tally.skipped.append(str(path))
    return None


def _damage(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}, column {error.colno}: it is cut short or damaged"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.object[error.start]:#x} at {error.start}, which is no UTF-8"
    return str(error)
