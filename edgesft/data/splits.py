"""Training, validation and test rows, from files or carved from one by the seed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import carve, histories, places, rows, sources
from edgesft.data.carve import HEAD
from edgesft.data.columns import Columns
from edgesft.data.media.inspection import inspect, unreadable
from edgesft.data.media.medium import Inspection, Medium
from edgesft.data.places import SPLITS
from edgesft.data.schema import RowSchema
from edgesft.data.sources import Source
from edgesft.errors import InputError, Problem
from edgesft.spec.interactions import LAST, InteractionsSpec
from edgesft.spec.recipe import DataSpec
from edgesft.store.disk import guarded
from edgesft.store.keys import key
from edgesft.store.store import Store

Row = Mapping[str, Any]

READINGS = ("image", "audio", "frames", "speech")
"""Settings of how files are read; those of a task are its medium's `field`."""

ROWS_VERSION = 3
"""Raised when the same files would be laid out otherwise in the store."""


@dataclass(frozen=True)
class Splits:
    """All rows of a run, their columns renamed to the task's roles.

    Attributes:
        train: Rows to learn from.
        validation: Rows that every decision is taken on.
        test: Rows for the report, or None.
        inspected: Of rows whose input is a file, what these turned out to be, by what `data` names: `train`, …
        warnings: What a person should know of them.
    """

    train: Sequence[Row]
    validation: Sequence[Row]
    test: Sequence[Row] | None
    inspected: Mapping[str, Inspection] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def rows(self) -> dict[str, Sequence[Row]]:
        """The splits by name, `test` only where there is one."""
        found = {"train": self.train, "validation": self.validation}
        return found if self.test is None else {**found, "test": self.test}


def load(data: DataSpec, schema: RowSchema, base: Path, seed: int, store: Store | None = None) -> Splits:
    """Reads and splits.

    A share is carved from train, label by label where there is a `label` role. Rows with the same input are never
    torn apart, so that no carved row was trained on. Where rows are made by user, `last` takes what each did last, and
    train has what comes before.

    Args:
        data: The recipe's `data`.
        schema: What the task reads of a row.
        base: Folder that relative paths start from.
        seed: Decides which rows a share takes.
        store: Where the rows lie that are to be on the disk; by default the usual one.

    Raises:
        InputError: Everything wrong with the files, columns and shares; more files that cannot be read than allowed.
        UnavailableError: A format's library is not installed, or the store cannot be written.
    """
    located, shares = places.find(data, base, schema.medium), places.shares(data)
    schema = replace(schema, optional=(*schema.optional, *further(data, schema.by_user)))
    if problems := _role_problems(data, schema) + _user_problems(data, schema.by_user) + _share_problems(shares):
        raise InputError(problems)
    found = _read(located, data, schema, store)
    inspected, warnings = dict[str, Inspection](), list[str]()
    if schema.by_user:
        found, warnings = _by_user(found, data)
    if schema.medium is not None:
        found, inspected, warnings = _readable(found, schema.medium, data.unreadable, store)
    warnings += _idle(data, schema)
    warnings += [f"data.train: {note}" for place in located["train"].values() for note in place.notes()]
    found = _carved(found, data, shares, schema.roles[0], seed)
    if data.group is not None:
        found = {name: rows.seen(each, (*schema.roles, *schema.optional)) for name, each in found.items()}
    return Splits(found["train"], found["validation"], found.get("test"), inspected, tuple(warnings))


def _carved(
    found: Mapping[str, Sequence[Row]], data: DataSpec, shares: Mapping[str, float], role: str, seed: int
) -> dict[str, Sequence[Row]]:
    """The splits after shares and a fold were taken from train, of which `per_class` leaves a few rows."""
    found = dict(found)
    if shares:
        whole = found["train"]
        taken = carve.carve(whole, shares, role, seed)
        found |= {name: rows.chosen(whole, indices) for name, indices in taken.items()}
    if data.fold is not None:
        whole = found["train"]
        number, count = map(int, data.fold.split("/"))
        outside, inside = carve.fold(whole, number, count, role, seed)
        found |= {"train": rows.chosen(whole, outside), "validation": rows.chosen(whole, inside)}
    if data.per_class is not None:
        found["train"] = rows.chosen(found["train"], carve.few(found["train"], data.per_class, seed))
    return found


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
        alone = f"data.group: must be left out if rows are users, got {data.group!r}"
        return [] if data.group is None else [Problem(alone, "a share takes whole users")]
    return [
        Problem(f"data.{name}: must be {LAST!r} only for recommendation, where rows are users", "a share, or a file")
        for name in SPLITS
        if getattr(data, name) == LAST
    ]


def _readable(
    found: Mapping[str, Sequence[Row]], medium: Medium, most: float, store: Store | None
) -> tuple[dict[str, Sequence[Row]], dict[str, Inspection], list[str]]:
    """The rows whose files can be read and are what the rows say, what these are, and what to say of the others."""
    kept, told, problems, warnings = dict[str, Sequence[Row]](), dict[str, Inspection](), list[Problem](), list[str]()
    for name, each in found.items():
        told[name] = inspect(medium, each, store)
        wrong, said = unreadable(name, medium, each, told[name], most)
        problems += wrong
        warnings += said
        out = told[name].left_out
        kept[name] = rows.chosen(each, np.setdiff1d(np.arange(len(each)), out)) if out else each
    if problems:
        raise InputError(problems)
    return kept, told, warnings


def unknown(data: DataSpec, schema: RowSchema, base: Path, store: Store | None = None) -> list[Row]:
    """The rows of `data.unknown` with their input alone; none where the recipe names no such place.

    Args:
        data: The recipe's `data`.
        schema: What the task reads of a row.
        base: Folder that relative paths start from.
        store: Where what files turned out to be is remembered; by default the usual one.

    Raises:
        InputError: There is no such file, or it lacks the input's column; more files that cannot be read than allowed.
    """
    if data.unknown is None:
        return []
    medium = schema.medium
    place = sources.find(data.unknown, base, "test", places.column(data, medium, base))
    if problem := place.missing("data.unknown"):
        raise InputError(problem)
    columns = Columns(schema.roles[:1], data.columns)
    found: Sequence[Row] = list(columns.renamed(place.rows(columns.wanted), place))
    return list(_readable({"unknown": found}, medium, data.unreadable, store)[0]["unknown"] if medium else found)


def _read(
    located: Mapping[str, Mapping[str, Source]], data: DataSpec, schema: RowSchema, store: Store | None
) -> dict[str, Sequence[Row]]:
    """The rows of each split, by role."""
    found: dict[str, Sequence[Row]] = {}
    problems: list[Problem] = []
    for name, heads in located.items():
        columns = Columns(schema.roles, data.columns, data.group if name == "train" else None, schema.optional)
        kept, read = list[Path](), list[Row]()
        for head, place in heads.items():
            try:
                if data.on_disk:
                    kept += _kept(place, head, columns, store or Store())
                else:
                    read += _of(place, head, columns)
            except InputError as error:
                problems += [each for each in error.problems if each not in problems]
        if not problems:
            found[name] = rows.Rows(kept, columns.keys, media=frozenset(_media(schema))) if data.on_disk else read
    if problems:
        raise InputError(problems)
    return found


def _of(place: Source, head: str, columns: Columns) -> Iterator[Row]:
    """The rows of one place, by role; the head's name is one of the columns where there are several."""
    read = place.rows(columns.wanted)
    return columns.renamed(({**row, columns.of(HEAD): head} for row in read) if head else read, place)


def _kept(place: Source, head: str, columns: Columns, store: Store) -> list[Path]:
    """The files in the store that the rows of one place lie in, written first if they are not there."""
    facts = {
        "kind": "rows",
        "version": ROWS_VERSION,
        "file": place.digest(),
        "head": head,
        "columns": {role: columns.of(role) for role in (*columns.roles, *columns.optional)},
        "group": columns.group,
    }

    def build(out: Path, work: Path) -> None:
        rows.write(_of(place, head, columns), out, place)

    with guarded(store.root):
        return rows.files(store.make(key(facts), build))


def _share_problems(shares: Mapping[str, float]) -> list[Problem]:
    total = sum(shares.values())
    message = f"data: the shares of validation and test must leave rows for train, got {total:g} in all"
    return [Problem(message, "validation: 0.1")] if total >= 1 else []


def _idle(data: DataSpec, schema: RowSchema) -> list[str]:
    """Settings of files that the task reads otherwise, or reads none of."""
    own = schema.medium.field if schema.medium else None
    where = f"how {schema.medium.several} are read is data.{own}" if schema.medium else "the task reads no such files"
    return [
        f"data.{name}: has no effect: {where}" for name in READINGS if name != own and getattr(data, name) is not None
    ]


def _media(schema: RowSchema) -> tuple[str, ...]:
    """Roles whose values are files."""
    return (schema.medium.role, *schema.medium.further) if schema.medium else ()


def _role_problems(data: DataSpec, schema: RowSchema) -> list[Problem]:
    roles, media = (*schema.roles, *schema.optional), _media(schema)
    several = [name for name in SPLITS if isinstance(getattr(data, name), Mapping)]
    if several and HEAD not in roles:
        message = f"data.{several[0]}: must be one file, got {len(getattr(data, several[0]))} by name"
        return [
            Problem(message, "files by name are for a task with heads: multi-task, image-multi-task, audio-multi-task")
        ]
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
