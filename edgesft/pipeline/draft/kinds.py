"""Recognises the task of rows by their columns. A new task is one function and one line here."""

from __future__ import annotations

import re
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
SOURCE = ("input", "source", "src", "document", "article", "meaning_representation", "mr")
TARGET = ("target", "output", "tgt", "summary", "translation", "reference", "human_reference", "ref")
PROMPT = ("prompt", "instruction", "question", "query")
ANSWER = ("answer", "output", "response", "completion", "reply")
CONTEXT = ("context", "input")
SPOKEN = ("text", "transcript", "transcription", "sentence", "words", "label")
USER = ("user", "userid", "customerid", "visitorid", "reviewerid", "sessionid")
ITEM = ("item", "itemid", "movieid", "productid", "articleid", "trackid", "songid", "bookid", "asin", "parentasin")
TIME = ("time", "timestamp", "date", "datetime", "ts", "unixreviewtime")
"""What columns are called, the likeliest first; of users and items without what joins words."""

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
    known = RECOGNISERS if task is None else {task: NAMED[task]} if task in NAMED else {}
    for name, by in known.items():
        # What the person named is what it is: the search is among the other columns.
        if (found := by(_renamed(rows, given))) is not None:
            return name, {role: given.get(role, column) for role, column in found.items()}
    if task is not None and set(own := TASKS[task].roles) <= {*given, *present}:
        return task, {role: given.get(role, role) for role in own}
    roles = f"the columns {', '.join(TASKS[task].roles)} of {task}" if task else "the columns of a task"
    hint = "--column text=NAME --column label=NAME" if task is None else f"--column {TASKS[task].roles[0]}=NAME"
    repeated = any(_distinct(rows, name) < len(rows) for name in present)
    got = f"the data must have {roles}. Got {', '.join(map(repr, present))}"
    got, hint = (got, hint) if repeated else (f"{got}; no value repeats, as labels do", f"more rows, {hint}")
    raise InputError(got, f"{hint}, or another --task")


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


def _boxed(rows: Sequence[Row]) -> Columns | None:
    roles = TASKS["object-detection"].roles
    return {role: role for role in roles} if set(roles) <= set(rows[0]) else None


def _enhanced(rows: Sequence[Row]) -> Columns | None:
    """Clean sounds by their role's own name, and what they are heard in."""
    roles = TASKS["speech-enhancement"].roles
    beside = {"noisy", "noise"} & set(rows[0])
    return {role: role for role in roles} if beside and set(roles) <= set(rows[0]) else None


def _heard(rows: Sequence[Row]) -> Columns | None:
    """Sounds, and when somebody speaks in them: lists, or their JSON."""
    roles = TASKS["voice-activity"].roles
    pairs = all(isinstance(row.get("speech"), list) or str(row.get("speech")).startswith("[") for row in rows)
    return {role: role for role in roles} if set(roles) <= set(rows[0]) and pairs else None


def _tagged(rows: Sequence[Row]) -> Columns | None:
    lists = [name for name, value in rows[0].items() if isinstance(value, list) and value]
    words = [name for name in lists if all(isinstance(word, str) for word in rows[0][name])]
    tokens = _called(TOKENS, words)
    tags = _called(TAGS, [name for name in lists if name != tokens])
    if tokens is None or tags is None:
        return None
    same = all(len(row[tokens]) == len(row[tags]) for row in rows if tokens in row and tags in row)
    return {"tokens": tokens, "tags": tags} if same else None


def _conversed(rows: Sequence[Row]) -> Columns | None:
    """Conversations, or prompts with answers that are no labels."""
    for name, value in rows[0].items():
        if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            return {"messages": name} if all({"role", "content"} <= set(each) for each in value) else None
    prompt, answer = _pair(rows, PROMPT, ANSWER)
    if prompt is None or answer is None:
        return None
    context = _called(CONTEXT, [name for name in _strings(rows) if name not in (prompt, answer)])
    return {"prompt": prompt, "answer": answer, **({"context": context} if context else {})}


def _prompted(rows: Sequence[Row]) -> Columns | None:
    """The same where the person says that it is so: also of a text and another one."""
    source, target = _pair(rows, SOURCE, TARGET)
    return _conversed(rows) or ({"prompt": source, "answer": target} if source and target else None)


def _transformed(rows: Sequence[Row]) -> Columns | None:
    source, target = _pair(rows, SOURCE, TARGET)
    return {"input": source, "target": target} if source and target else None


def _pair(rows: Sequence[Row], names: Sequence[str], answers: Sequence[str]) -> tuple[str | None, str | None]:
    """A text and one that is made of it, of which most rows have one of their own: labels are said of several."""
    strings = _strings(rows)
    own = [name for name in strings if _distinct(rows, name) > REPEATED * len(rows)]
    first = _called(names, strings)
    return first, _called(answers, [name for name in own if name != first])


def _interacted(rows: Sequence[Row]) -> Columns | None:
    joined = {re.sub(r"[ _-]", "", name.lower()): name for name in rows[0]}
    found = {role: joined.get(next((name for name in names if name in joined), ""))
             for role, names in (("user", USER), ("item", ITEM), ("time", TIME))}  # fmt: skip
    told = {role: name for role, name in found.items() if name is not None}
    return told if {"user", "item"} <= set(told) else None


def _spoken(rows: Sequence[Row]) -> Columns | None:
    """Sounds, and what is said in them."""
    medium = TASKS["text-to-speech"].medium
    audio = _of_files(rows, medium) if medium else None
    text = _called(SPOKEN, [name for name in _strings(rows) if name != audio])
    return {"audio": audio, "text": text} if audio and text else None


def _drawn(rows: Sequence[Row]) -> Columns | None:
    """Pictures, labelled or not."""
    medium = TASKS["image-generation"].medium
    image = _of_files(rows, medium) if medium else None
    label = _label(rows, image) if image else None
    return {"image": image, **({"label": label} if label else {})} if image else None


def _of_files(rows: Sequence[Row], medium: Medium) -> str | None:
    """The column that names files of a kind."""
    return next(
        (
            name
            for name, value in rows[0].items()
            if isinstance(value, str) and all(_suffix(row.get(name)) in medium.suffixes for row in rows)
        ),
        None,
    )


def of_files(medium: Medium) -> Recogniser:
    """Recognises rows that name files of a kind, with their labels."""

    def found(rows: Sequence[Row]) -> Columns | None:
        name = _of_files(rows, medium)
        label = _label(rows, name) if name else None
        return {medium.role: name, "label": label} if name and label else None

    return found


def labelled(task: type[Task]) -> bool:
    """Whether rows are a file and a label."""
    return task.medium is not None and set(task.roles) == {task.medium.role, "label"}


def _written(rows: Sequence[Row]) -> Columns | None:
    strings = _strings(rows)
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
    "object-detection": _boxed,
    "speech-enhancement": _enhanced,
    "voice-activity": _heard,
    "token-classification": _tagged,
    "text-generation": _conversed,
    "text-to-text": _transformed,
    "recommendation": _interacted,
    **{name: of_files(task.medium) for name, task in TASKS.items() if task.medium and labelled(task)},
    "text-classification": _written,
    "zero-shot-classification": _written,
    "arrays": _arrays,
}
"""Task → how its rows are known; the first that fits is taken, so that those with the least to mistake come first."""

NAMED: dict[str, Recogniser] = {
    **RECOGNISERS,
    "text-generation": _prompted,
    "text-to-speech": _spoken,
    "image-generation": _drawn,
}
"""The same where the person named the task: rows that are usually for another one may be for it."""


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


def _strings(rows: Sequence[Row]) -> list[str]:
    return [name for name, value in rows[0].items() if isinstance(value, str)]


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
