"""Training, validation and test rows, from files or carved from one by the seed."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import carve, files, histories, rows, sources
from edgesft.data.carve import HEAD
from edgesft.data.columns import Columns
from edgesft.data.joined import joined
from edgesft.data.media.looked import Looked, look, unreadable
from edgesft.data.media.medium import FileColumn, Medium
from edgesft.data.sources import Source
from edgesft.errors import InputError, Problem
from edgesft.spec.interactions import LAST, InteractionsSpec
from edgesft.spec.recipe import DataSpec, Files
from edgesft.store.disk import guarded
from edgesft.store.keys import key
from edgesft.store.store import Store

Row = Mapping[str, Any]

SPLITS = ("train", "validation", "test")

ALONE = ""
"""Name of a split's only file."""

ROWS_VERSION = 1
"""Raised when the same files would be laid out otherwise in the store."""


@dataclass(frozen=True)
class Splits:
    """All rows of a run, their columns renamed to the task's roles.

    Attributes:
        train: Rows to learn from.
        validation: Rows that every decision is taken on.
        test: Rows for the report, or None.
        looked: Of rows whose input is a file, what these turned out to be, by what `data` names: `train`, …
        warnings: What a person should know of them.
    """

    train: Sequence[Row]
    validation: Sequence[Row]
    test: Sequence[Row] | None
    looked: Mapping[str, Looked] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def rows(self) -> dict[str, Sequence[Row]]:
        """The splits by name, `test` only where there is one."""
        found = {"train": self.train, "validation": self.validation}
        return found if self.test is None else {**found, "test": self.test}


def load(
    data: DataSpec,
    roles: Sequence[str],
    base: Path,
    seed: int,
    store: Store | None = None,
    medium: Medium | None = None,
    optional: Sequence[str] = (),
    by_user: bool = False,
) -> Splits:
    """Reads and splits.

    A share is carved from train, label by label where there is a `label` role. Rows with the same input, the first
    role, are never torn apart, so that no carved row was trained on. Where rows are made by user, `last` takes what
    each did last, and train has what comes before.

    Args:
        data: The recipe's `data`.
        roles: Columns that the task needs; the first one is the input.
        base: Folder that relative paths start from.
        seed: Decides which rows a share takes.
        store: Where the rows lie that are to be on the disk; by default the usual one.
        medium: What the first role is, where its values are files.
        optional: Further roles, of columns that rows may lack.
        by_user: Whether the files hold interactions, of which rows are made (`data.histories`).

    Raises:
        InputError: Everything wrong with the files, columns and shares; more files that cannot be read than allowed.
        UnavailableError: A format's library is not installed, or the store cannot be written.
    """
    places, shares = _places(data, base, medium), _shares(data)
    optional = (*optional, *further(data, by_user))
    problems = _role_problems(data, (*roles, *optional), medium) + _user_problems(data, by_user)
    total = sum(shares.values())
    if total >= 1:
        problems.append(
            Problem(
                f"data: the shares of validation and test must leave rows for train, got {total:g} in all",
                "validation: 0.1",
            )
        )
    if problems:
        raise InputError(problems)
    found = _read(places, data, roles, store, medium, optional)
    looked, warnings = dict[str, Looked](), list[str]()
    if by_user:
        found, warnings = _by_user(found, data)
    if medium is not None:
        found, looked, warnings = _readable(found, medium, data.unreadable, store)
    if shares:
        whole = found["train"]
        taken = carve.carve(whole, shares, roles[0], seed)
        found |= {name: rows.chosen(whole, indices) for name, indices in taken.items()}
    if data.fold is not None:
        whole = found["train"]
        number, count = map(int, data.fold.split("/"))
        outside, inside = carve.fold(whole, number, count, roles[0], seed)
        found |= {"train": rows.chosen(whole, outside), "validation": rows.chosen(whole, inside)}
    if data.per_class is not None:
        found["train"] = rows.chosen(found["train"], carve.few(found["train"], data.per_class, seed))
    if data.group is not None:
        found = {name: rows.seen(each, (*roles, *optional)) for name, each in found.items()}
    return Splits(found["train"], found["validation"], found.get("test"), looked, tuple(warnings))


def _by_user(found: Mapping[str, Sequence[Row]], data: DataSpec) -> tuple[dict[str, Sequence[Row]], list[str]]:
    """A row a user, and what to say of it. Of train come the latest ones first to test, then to validation."""
    spec, made = data.interactions or InteractionsSpec(), dict[str, Sequence[Row]]()
    warnings, problems = list[str](), list[Problem]()
    for name, each in found.items():
        try:
            gathered = histories.gather(each, spec, f"data.{name}")
        except InputError as error:
            problems += error.problems
            continue
        warnings += histories.warnings(name, gathered)
        taken = [other for other in ("test", "validation") if name == "train" and getattr(data, other) == LAST]
        made |= {other: gathered.rows(place) for place, other in enumerate(taken)} | {name: gathered.rows(len(taken))}
    if problems:
        raise InputError(problems)
    return made, warnings


def further(data: DataSpec | None, by_user: bool) -> tuple[str, ...]:
    """Columns that the recipe itself wants of interactions, where the files hold some."""
    return data.interactions.columns if by_user and data and data.interactions else ()


def _user_problems(data: DataSpec, by_user: bool) -> list[Problem]:
    if by_user:
        alone = f"data.group: must be left out where rows are users, got {data.group!r}"
        return [] if data.group is None else [Problem(alone, "a share takes whole users")]
    return [
        Problem(f"data.{name}: must not be {LAST!r} but where rows are users: recommendation", "a share, or a file")
        for name in SPLITS
        if getattr(data, name) == LAST
    ]


def _readable(
    found: Mapping[str, Sequence[Row]], medium: Medium, most: float, store: Store | None
) -> tuple[dict[str, Sequence[Row]], dict[str, Looked], list[str]]:
    """The rows whose files can be read, what these are, and what to say of the others."""
    kept, told, problems, warnings = dict[str, Sequence[Row]](), dict[str, Looked](), list[Problem](), list[str]()
    for name, each in found.items():
        told[name] = look(medium, each, store)
        wrong, said = unreadable(name, medium, each, told[name], most)
        problems += wrong
        warnings += said
        faults = told[name].faults
        kept[name] = rows.chosen(each, np.setdiff1d(np.arange(len(each)), list(faults))) if faults else each
    if problems:
        raise InputError(problems)
    return kept, told, warnings


def unknown(
    data: DataSpec, role: str, base: Path, medium: Medium | None = None, store: Store | None = None
) -> list[Row]:
    """The rows of `data.unknown` with their input alone; none where the recipe names no such place.

    Args:
        data: The recipe's `data`.
        role: Of the input.
        base: Folder that relative paths start from.
        medium: What the input is, where its values are files.
        store: Where what files turned out to be is remembered; by default the usual one.

    Raises:
        InputError: There is no such file, or it lacks the input's column; more files that cannot be read than allowed.
    """
    if data.unknown is None:
        return []
    place = sources.find(data.unknown, base, "test", column(data, medium, base))
    if problem := place.missing("data.unknown"):
        raise InputError(problem)
    columns = Columns((role,), data.columns)
    found: Sequence[Row] = list(columns.renamed(place.rows(columns.wanted), place))
    return list(_readable({"unknown": found}, medium, data.unreadable, store)[0]["unknown"] if medium else found)


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


def digest(data: DataSpec, base: Path, medium: Medium | None = None) -> str:
    """Content digest for cache keys: the rows' bytes and how they are to be read; no file is parsed, but a table of
    paths, whose files count as well.

    Raises:
        InputError: A file does not exist.
        UnavailableError: A data set is not on this machine, and the hub not in reach.
    """
    facts = {
        "files": {name: _content(found) for name, found in _places(data, base, medium).items()},
        "shares": _shares(data),
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


def _places(data: DataSpec, base: Path, medium: Medium | None) -> dict[str, dict[str, Source]]:
    """Where the rows are, by split, then by head; all that are missing are reported at once."""
    named = {name: value for name, value in data.files().items() if not (name == "validation" and data.fold)}
    of = column(data, medium, base)
    places = {
        name: {head: joined(place, data.join, base) for head, place in located(value, base, name, of).items()}
        for name, value in named.items()
    }
    problems = [
        problem
        for name, found in places.items()
        for head, place in found.items()
        if (problem := place.missing(f"data.{name}.{head}" if head else f"data.{name}"))
    ]
    if problems:
        raise InputError(list(dict.fromkeys(problems)))  # What is joined may be missed by every split.
    return places


def located(value: Files, base: Path, split: str, column: FileColumn | None = None) -> dict[str, Source]:
    """Where the rows of a split are, by head; `ALONE` where there is but one place."""
    named = {ALONE: value} if isinstance(value, str) else value
    return {head: sources.find(text, base, split, column) for head, text in named.items()}


def _shares(data: DataSpec) -> dict[str, float]:
    shares = {name: share for name in SPLITS[1:] if isinstance(share := getattr(data, name), float)}
    if data.fold:
        shares.pop("validation", None)
    return shares


def _read(
    places: Mapping[str, Mapping[str, Source]],
    data: DataSpec,
    roles: Sequence[str],
    store: Store | None,
    medium: Medium | None,
    optional: Sequence[str],
) -> dict[str, Sequence[Row]]:
    """The rows of each split, by role."""
    found: dict[str, Sequence[Row]] = {}
    problems: list[Problem] = []
    for name, heads in places.items():
        columns = Columns(roles, data.columns, data.group if name == "train" else None, optional)
        kept, read = list[Path](), list[Row]()
        for head, place in heads.items():
            try:
                if data.on_disk:
                    kept.append(_kept(place, head, columns, store or Store()))
                else:
                    read += _of(place, head, columns)
            except InputError as error:
                problems += [each for each in error.problems if each not in problems]
        if not problems:
            media = frozenset((medium.role, *medium.further) if medium else ())
            found[name] = rows.Rows(kept, columns.keys, media=media) if data.on_disk else read
    if problems:
        raise InputError(problems)
    return found


def _of(place: Source, head: str, columns: Columns) -> Iterator[Row]:
    """The rows of one place, by role; the head's name is one of the columns where there are several."""
    read = place.rows(columns.wanted)
    return columns.renamed(({**row, columns.of(HEAD): head} for row in read) if head else read, place)


def _kept(place: Source, head: str, columns: Columns, store: Store) -> Path:
    """The file in the store that the rows of one place lie in, written first if it is not there."""
    facts = {
        "kind": "rows",
        "version": ROWS_VERSION,
        "file": place.digest(),
        "head": head,
        "columns": {role: columns.of(role) for role in (*columns.roles, *columns.optional)},
        "group": columns.group,
    }

    def build(out: Path, work: Path) -> None:
        rows.write(_of(place, head, columns), out / rows.FILE, place)

    with guarded(store.root):
        return store.make(key(facts), build) / rows.FILE


def _role_problems(data: DataSpec, roles: Sequence[str], medium: Medium | None) -> list[Problem]:
    several = [name for name in SPLITS if isinstance(getattr(data, name), Mapping)]
    if several and HEAD not in roles:
        message = f"data.{several[0]}: must be one file, got {len(getattr(data, several[0]))} by name"
        return [
            Problem(message, "files by name are for a task with heads: multi-task, image-multi-task, audio-multi-task")
        ]
    media = (medium.role, *medium.further) if medium else ()
    strangers = [role for role in data.folders if role not in media]
    return [
        Problem(f"data.folders: keys must be roles of files ({', '.join(media) or 'here are none'}), got {role!r}")
        for role in strangers
    ] + [
        Problem(
            f"data.columns: keys must be roles of the task ({', '.join(roles)}), got {role!r}",
            "write `role: column`, not the other way round" if data.columns[role] in roles else _nearest(role, roles),
        )
        for role in data.columns
        if role not in roles
    ]


def _nearest(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.4)
    return f"{close[0]!r}" if close else f"one of {', '.join(words)}"
