"""Which task rows are for, by their columns. A new task whose rows are told apart is one function and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from edgesft.data.media.medium import Medium
from edgesft.errors import InputError
from edgesft.tasks.base import Task
from edgesft.tasks.registry import TASKS

Row = Mapping[str, Any]
Columns = dict[str, str]
"""Role → column."""

Recogniser = Callable[[Sequence[Row]], "Columns | None"]

TEXT = ("text", "sentence", "review", "utterance", "query", "content", "message", "title", "tweet", "comment")
LABEL = ("label", "labels", "class", "category", "target", "intent", "sentiment", "topic", "y")
TOKENS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "pos_tags", "labels", "slots")
"""What columns are called, the likeliest first."""

REPEATED = 0.5
"""A label is said of several rows: at most this share of the rows has one of its own."""

LONG = 40
"""Characters that labels have at most on average; what is longer is a text that a model should write."""


def recognise(rows: Sequence[Row], given: Mapping[str, str], task: str | None = None) -> tuple[str, Columns]:
    """The task that rows are for, and the column of each role.

    Args:
        rows: By column, at least one.
        given: Columns that the person named, by role.
        task: The task that the person named.

    Raises:
        InputError: The columns fit no task, or not the one that was named.
    """
    present = list(rows[0])
    if wrong := [name for name in given.values() if name not in present]:
        there = ", ".join(map(repr, present))
        raise InputError(f"--column must name a column of the data. Got {wrong[0]!r} where there are {there}")
    if task is not None and set(given) >= set(TASKS[task].roles):
        return task, dict(given)
    for name, by in RECOGNISERS.items():
        # What the person named is what it is: the search is among the other columns.
        if task in (None, name) and (found := by(_renamed(rows, given))) is not None:
            return name, {role: given.get(role, column) for role, column in found.items()}
    roles = f"the columns {', '.join(TASKS[task].roles)} of {task}" if task else "the columns of a task"
    hint = "--column text=NAME --column label=NAME" if task is None else f"--column {TASKS[task].roles[0]}=NAME"
    raise InputError(f"the data must have {roles}. Got {', '.join(map(repr, present))}", f"{hint}, or another --task")


def _renamed(rows: Sequence[Row], given: Mapping[str, str]) -> list[Row]:
    """The rows with the named columns under their roles, and no other column of such a name."""
    by = {column: role for role, column in given.items()}
    return [{by.get(name, name): value for name, value in row.items() if name in by or name not in given}
            for row in rows]  # fmt: skip


def _answered(rows: Sequence[Row]) -> Columns | None:
    first = rows[0]
    roles = TASKS["question-answering"].roles
    answers = first.get("answers")
    whole = set(roles) <= set(first) and isinstance(answers, Mapping) and {"text", "answer_start"} <= set(answers)
    return {role: role for role in roles} if whole else None


def _tagged(rows: Sequence[Row]) -> Columns | None:
    lists = [name for name, value in rows[0].items() if isinstance(value, list) and value]
    words = [name for name in lists if all(isinstance(word, str) for word in rows[0][name])]
    tokens = _called(TOKENS, words)
    tags = _called(TAGS, [name for name in lists if name != tokens])
    if tokens is None or tags is None:
        return None
    same = all(len(row[tokens]) == len(row[tags]) for row in rows if tokens in row and tags in row)
    return {"tokens": tokens, "tags": tags} if same else None


def of_files(medium: Medium) -> Recogniser:
    """Recognises rows that name files of a kind, with their labels."""

    def found(rows: Sequence[Row]) -> Columns | None:
        for name, value in rows[0].items():
            files = isinstance(value, str) and all(_suffix(row.get(name)) in medium.suffixes for row in rows)
            if files and (label := _label(rows, name)) is not None:
                return {medium.role: name, "label": label}
        return None

    return found


def labelled(task: type[Task]) -> bool:
    """Whether rows are a file and a label."""
    return task.medium is not None and set(task.roles) == {task.medium.role, "label"}


def _written(rows: Sequence[Row]) -> Columns | None:
    strings = [name for name, value in rows[0].items() if isinstance(value, str)]
    text = _called(TEXT, strings)
    if text is None:
        # Nothing is called so: texts are what is longest and hardly repeats.
        apart = [name for name in strings if _distinct(rows, name) > REPEATED * len(rows) and not _number(rows, name)]
        text = max(apart, key=lambda name: sum(len(str(row.get(name))) for row in rows), default=None)
    if text is None or (label := _label(rows, text)) is None:
        return None
    return {"text": text, "label": label}


def _arrays(rows: Sequence[Row]) -> Columns | None:
    """Arrays of numbers under any names, and a label."""
    inputs = [name for name, value in rows[0].items() if getattr(value, "ndim", 0) and name != "label"]
    return {name: name for name in (*inputs, "label")} if inputs and "label" in rows[0] else None


RECOGNISERS: dict[str, Recogniser] = {
    "question-answering": _answered,
    "token-classification": _tagged,
    **{name: of_files(task.medium) for name, task in TASKS.items() if task.medium and labelled(task)},
    "text-classification": _written,
    "zero-shot-classification": _written,
    "arrays": _arrays,
}
"""Task → how its rows are known; the first that fits is taken, so that those with the least to mistake come first."""


def _label(rows: Sequence[Row], other: str) -> str | None:
    """The column of labels: called so, or else the only one whose values repeat."""
    able = [
        name
        for name, value in rows[0].items()
        if name not in (other, "split")
        and isinstance(value, str | int)
        and _distinct(rows, name) > 1
        and sum(len(str(row.get(name))) for row in rows) <= LONG * len(rows)
    ]
    named = _called(LABEL, able)
    few = [name for name in able if _distinct(rows, name) <= REPEATED * len(rows)]
    return named or (few[0] if len(few) == 1 else None)


def _called(names: Sequence[str], columns: Sequence[str]) -> str | None:
    lowered = {column.lower(): column for column in columns}
    return next((lowered[name] for name in names if name in lowered), None)


def _distinct(rows: Sequence[Row], name: str) -> int:
    return len({str(row.get(name)) for row in rows})


def _number(rows: Sequence[Row], name: str) -> bool:
    try:
        return all(float(row[name]) is not None for row in rows)
    except (KeyError, ValueError):
        return False


def _suffix(value: Any) -> str:
    return PurePath(value).suffix.lower() if isinstance(value, str) else ""
