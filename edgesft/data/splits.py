"""Training, validation and test rows, from files or carved from one by the seed."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import files, loading
from edgesft.errors import InputError, Problem
from edgesft.spec.recipe import DataSpec

Row = dict[str, Any]

SPLITS = ("train", "validation", "test")

HEAD = "head"
"""Role that the name of a file fills where a split has several, by name."""

GROUP = ""
"""Key of a row's group while the rows are split; no role is called so."""

ALONE = ""
"""Name of a split's only file."""

SHOWN = 5


@dataclass(frozen=True)
class Splits:
    """All rows of a run, their columns renamed to the task's roles.

    Attributes:
        train: Rows to learn from.
        validation: Rows that every decision is taken on.
        test: Rows for the report, or None.
    """

    train: list[Row]
    validation: list[Row]
    test: list[Row] | None

    def rows(self) -> dict[str, list[Row]]:
        """The splits by name, `test` only where there is one."""
        found = {"train": self.train, "validation": self.validation}
        return found if self.test is None else {**found, "test": self.test}


def load(data: DataSpec, roles: Sequence[str], base: Path, seed: int) -> Splits:
    """Reads and splits.

    A share is carved from train, label by label where there is a `label` role. Rows with the same input, the first
    role, are never torn apart, so that no carved row was trained on.

    Args:
        data: The recipe's `data`.
        roles: Columns that the task needs; the first one is the input.
        base: Folder that relative paths start from.
        seed: Decides which rows a share takes.

    Raises:
        InputError: Everything wrong with the files, columns and shares.
        UnavailableError: A format's library is not installed.
    """
    paths, shares = _files(data, base), _shares(data)
    problems = _role_problems(data, roles)
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
    rows = _read(paths, data, roles)
    rows.update(_carve(rows["train"], shares, roles, seed))
    if data.per_class is not None:
        rows["train"] = few(rows["train"], data.per_class, seed)
    return Splits(*([_of(roles, each) for each in rows[name]] if name in rows else None for name in SPLITS))  # type: ignore[arg-type]


def unknown(data: DataSpec, role: str, base: Path) -> list[Row]:
    """The rows of `data.unknown` with their input alone; none where the recipe names no such file.

    Args:
        data: The recipe's `data`.
        role: Of the input.
        base: Folder that relative paths start from.

    Raises:
        InputError: There is no such file, or it lacks the input's column.
    """
    if data.unknown is None:
        return []
    path = files.place(data.unknown, base)
    if problem := files.missing(path, "data.unknown"):
        raise InputError(problem)
    return _renamed(loading.read(path), path, data.columns, (role,))


def few(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """So many rows of each label, drawn by the seed, in their order.

    Raises:
        InputError: The rows have no labels, or too few of some; each is named.
    """
    places: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        places.setdefault(stratum(row), []).append(index)
    if any("label" not in row for row in rows):
        raise InputError("data.per_class: must be of a task with labels, got rows without", "leave it out")
    if short := {label: len(found) for label, found in places.items() if len(found) < count}:
        told = ", ".join(f"{label!r} {number}" for label, number in sorted(short.items())[:SHOWN])
        more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
        raise InputError(
            f"data.per_class: must be at most the rows of the rarest label, got {count} where there are {told}{more}",
            f"data.per_class={min(short.values())}",
        )
    rng = np.random.default_rng(seed)
    drawn = [index for label in sorted(places) for index in rng.choice(places[label], count, replace=False)]
    return [rows[index] for index in sorted(drawn)]


def _of(roles: Sequence[str], row: Row) -> Row:
    return {role: row[role] for role in roles}


def digest(data: DataSpec, base: Path) -> str:
    """Content digest for cache keys: the files' bytes and how they are to be read; nothing is parsed.

    Raises:
        InputError: A file does not exist.
    """
    paths = _files(data, base)
    facts = {
        "files": {name: _content(found) for name, found in paths.items()},
        "shares": _shares(data),
        "columns": data.columns,
        **data.options(),
        # What is not set leaves the key as it was before there was such a setting.
        **{name: value for name in ("group", "per_class") if (value := getattr(data, name)) is not None},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _content(found: Mapping[str, Path]) -> Any:
    """Digest and format of a split's file, or of each by name."""
    each = {head: [files.sha256(path), path.suffix.lower()] for head, path in found.items()}
    return each.get(ALONE, each)


def _files(data: DataSpec, base: Path) -> dict[str, dict[str, Path]]:
    """The files by split, then by head, `ALONE` where there is but one; all that are missing are reported at once."""
    named = {name: getattr(data, name) for name in SPLITS}
    paths = {name: located(value, base) for name, value in named.items() if isinstance(value, str | dict)}
    problems = [
        problem
        for name, found in paths.items()
        for head, path in found.items()
        if (problem := files.missing(path, f"data.{name}.{head}" if head else f"data.{name}"))
    ]
    if problems:
        raise InputError(problems)
    return paths


def located(value: str | Mapping[str, str], base: Path) -> dict[str, Path]:
    """Where the files of a split lie, by head; `ALONE` where there is but one."""
    return {
        head: files.place(text, base) for head, text in ({ALONE: value} if isinstance(value, str) else value).items()
    }


def _shares(data: DataSpec) -> dict[str, float]:
    return {name: share for name in SPLITS[1:] if isinstance(share := getattr(data, name), float)}


def _read(paths: Mapping[str, Mapping[str, Path]], data: DataSpec, roles: Sequence[str]) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    problems: list[Problem] = []
    for name, found in paths.items():
        group = data.group if name == "train" else None
        for head, path in found.items():
            try:
                read = loading.read(path)
                told = [{**row, data.columns.get(HEAD, HEAD): head} for row in read] if head else read
                rows.setdefault(name, []).extend(_renamed(told, path, data.columns, roles, group))
            except InputError as error:
                problems += error.problems
    if problems:
        raise InputError(problems)
    return rows


def _role_problems(data: DataSpec, roles: Sequence[str]) -> list[Problem]:
    several = [name for name in SPLITS if isinstance(getattr(data, name), Mapping)]
    if several and HEAD not in roles:
        message = f"data.{several[0]}: must be one file, got {len(getattr(data, several[0]))} by name"
        return [Problem(message, "files by name are for a task with heads (multi-task)")]
    return [
        Problem(
            f"data.columns: keys must be roles of the task ({', '.join(roles)}), got {role!r}",
            "write `role: column`, not the other way round" if data.columns[role] in roles else _nearest(role, roles),
        )
        for role in data.columns
        if role not in roles
    ]


def _renamed(
    rows: list[Row], path: Path, columns: Mapping[str, str], roles: Sequence[str], group: str | None = None
) -> list[Row]:
    """The rows with the roles' columns only; under `GROUP` what they must stay together by."""
    present = list(dict.fromkeys(column for row in rows for column in row))
    problems = []
    for role in roles:
        column = columns.get(role, role)
        lacking = [number for number, row in enumerate(rows, 1) if column not in row]
        if len(lacking) == len(rows):
            problems.append(
                Problem(
                    f"{path}: must have the column {column!r} for {role}, got {', '.join(map(repr, present))}",
                    f"data.columns.{role}={_guess(column, present)}",
                )
            )
        elif lacking:
            problems.append(
                Problem(
                    f"{path}: the column {column!r} is missing in {len(lacking)} of {len(rows)} rows, "
                    f"first in row {lacking[0]}",
                    "complete or remove them",
                )
            )
    if group is not None and (lacking := [number for number, row in enumerate(rows, 1) if row.get(group) is None]):
        message = f"data.group: must be a column of every row of {path}, got none in {len(lacking)} of {len(rows)} rows"
        problems.append(Problem(message, f"data.group={_guess(group, present)}"))
    if problems:
        raise InputError(problems)
    kept = [{role: row[columns.get(role, role)] for role in roles} for row in rows]
    return [{**each, GROUP: row[group]} for each, row in zip(kept, rows, strict=True)] if group is not None else kept


def _guess(column: str, present: Sequence[str]) -> str:
    """The nearest of the columns that are there, whatever their case."""
    lowered = {name.lower(): name for name in present}
    close = difflib.get_close_matches(column.lower(), lowered, n=1, cutoff=0.4)
    return lowered[close[0]] if close else " | ".join(present)


def _nearest(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.4)
    return f"{close[0]!r}" if close else f"one of {', '.join(words)}"


def _carve(rows: list[Row], shares: Mapping[str, float], roles: Sequence[str], seed: int) -> dict[str, list[Row]]:
    """Train and the carved splits, each in the order of the file. What is drawn are groups of rows with one input."""
    rng = np.random.default_rng(seed)
    strata = [[stratum[index] for index in rng.permutation(len(stratum))] for stratum in _strata(rows, roles)]
    sizes = [len(stratum) for stratum in strata]
    taken: dict[str, list[int]] = {}
    for name, share in shares.items():
        taken[name] = []
        for stratum, count in zip(strata, _quotas(sizes, share), strict=True):
            for group in [stratum.pop() for _ in range(min(count, len(stratum)))]:
                taken[name] += group
    taken["train"] = [index for stratum in strata for group in stratum for index in group]
    return {name: [rows[index] for index in sorted(indices)] for name, indices in taken.items()}


def _strata(rows: Sequence[Row], roles: Sequence[str]) -> list[list[list[int]]]:
    """Indices of the rows, grouped by input and by group, the groups gathered by the label of their first row."""
    strata: dict[str, list[list[int]]] = {}
    for group in _together(rows, roles[0]):
        strata.setdefault(stratum(rows[group[0]]), []).append(group)
    return [strata[label] for label in sorted(strata)]


def stratum(row: Mapping[str, Any]) -> str:
    """The label, of its head where there are several."""
    return f"{row[HEAD]}/{row.get('label')}" if HEAD in row else str(row.get("label"))


def identity(value: Any) -> str | bytes:
    """Equal for equal values; numpy's text of an array leaves out most of it."""
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def _together(rows: Sequence[Row], role: str) -> list[list[int]]:
    """Indices of rows that have an input or a group in common, also by way of others."""
    above = list(range(len(rows)))

    def top(index: int) -> int:
        while above[index] != index:
            above[index] = index = above[above[index]]
        return index

    first: dict[tuple[str, str | bytes], int] = {}
    for index, row in enumerate(rows):
        for kind in (role, GROUP) if GROUP in row else (role,):
            one, other = sorted((top(first.setdefault((kind, identity(row[kind])), index)), top(index)))
            above[other] = one
    groups: dict[int, list[int]] = {}
    for index in range(len(rows)):
        groups.setdefault(top(index), []).append(index)
    return list(groups.values())


def _quotas(sizes: Sequence[int], share: float) -> list[int]:
    """How many of each stratum to take, by largest remainder: in all, the share rounded to the nearest group."""
    exact = np.asarray(sizes) * share
    counts = np.floor(exact).astype(int)
    left = round(exact.sum()) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    return [int(count) for count in counts]
