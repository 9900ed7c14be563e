"""What is wrong with labelled rows. All problems at once, each with what to try."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgesft.data.hashing import hashes, identity
from edgesft.data.media.medium import File
from edgesft.data.rows import numbered
from edgesft.data.splits import Splits
from edgesft.errors import Problem

Row = Mapping[str, Any]

OVERLAP_LIMIT = 0.01
"""Share of a split's rows that may also be in train before a score on it says more than it knows: the size of the
one-point drops that budgets are made of."""
SHOWN = 5
"""Names or row numbers listed in a message before it says how many more there are."""

_LONG = (np.ndarray, File, bytes)
"""What as a text would lack most of it, or say only where it lies."""

_WHOLE = re.compile(r"-?\d+")

_SURROGATE = re.compile("[\ud800-\udfff]")


def label_name(value: Any) -> str:
    """A label as the contract stores it."""
    return str(value)


def ordered(labels: Collection[str]) -> list[str]:
    """Labels in a stable order: by value where all are whole numbers, else by their text."""
    if all(_WHOLE.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def classification(
    splits: Mapping[str, Sequence[Row]], *, text: str, label: str, train: str = "train", further: Collection[str] = ()
) -> list[Problem]:
    """Everything wrong with rows that pair a text with one label.

    Args:
        splits: Rows by split (`train`, `validation`, `test`).
        text: Role of the input.
        label: Role of the answer.
        train: Name of the training rows among the splits.
        further: Labels that need no training rows.
    """
    found: list[Problem] = []
    for name, rows in splits.items():
        if not rows:
            found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file or the share"))
        found += texts(name, rows, text)
    return found + labelled(splits, label, train, further)


def labelled(
    splits: Mapping[str, Sequence[Row]], label: str, train: str = "train", further: Collection[str] = ()
) -> list[Problem]:
    """Everything wrong with the labels of rows; the arguments are those of `classification`."""
    found = [problem for name, rows in splits.items() for problem in _labels(name, rows, label)]
    known = {label_name(row[label]) for row in splits.get(train, ()) if _is_label(row[label])}
    if len(known) == 1:
        found.append(
            Problem(
                f"data.{train}: must hold at least two labels, got only {next(iter(known))!r}",
                f"is data.columns.{label} the right column?",
            )
        )
    return found + [
        problem
        for name in splits
        if name != train
        for problem in _unseen(name, splits[name], known | set(further), label)
    ]


def tagged(splits: Mapping[str, Sequence[Row]], *, tokens: str, tags: str) -> list[Problem]:
    """Everything wrong with rows that pair a list of words with a tag for each, or two texts with blanks between.

    Args:
        splits: Rows by split.
        tokens: Role of the words.
        tags: Role of their tags.
    """
    found: list[Problem] = []
    names: dict[str, set[str]] = {}
    for name, rows in splits.items():
        if not rows:
            found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file or the share"))
        wrong, empty, uneven, names[name] = list[int](), list[int](), list[tuple[int, int, int]](), set[str]()
        for number, row in numbered(rows):
            words, said = _parts(row[tokens]), _parts(row[tags])
            if words is None or said is None:
                wrong.append(number)
            elif len(words) != len(said):
                uneven.append((number, len(words), len(said)))
            if words is not None and not words:
                empty.append(number)
            names[name].update(said or ())
        if wrong:
            message = f"data.{name}: {tokens} and {tags} must be lists of texts, but are not in {row_numbers(wrong)}"
            found.append(Problem(message, f'{{"{tokens}": ["to", "Rome"], "{tags}": ["O", "B-PLACE"]}}'))
        if empty:
            message = f"data.{name}: {tokens} must hold a word, got none in {row_numbers(empty)}"
            found.append(Problem(message, "remove those rows"))
        if uneven:
            _, count, other = uneven[0]
            message = f"data.{name}: {tags} must be as many as {tokens}, got {other} for {count} in "
            found.append(Problem(message + row_numbers([each[0] for each in uneven]), "a tag for each word"))
    known = names.get("train", set())
    for name, seen in names.items():
        if name != "train" and known and (unseen := ordered(seen - known)):
            message = f"data.{name}: has tags that train lacks: {listed([repr(tag) for tag in unseen])}"
            found.append(Problem(message, "add training rows with them, or remove their rows"))
    return found


def answered(splits: Mapping[str, Sequence[Row]], *, passage: str, question: str, answers: str) -> list[Problem]:
    """Everything wrong with rows of a passage, a question and answers that are spans of the passage.

    Args:
        splits: Rows by split.
        passage: Role of the passage.
        question: Role of the question.
        answers: Role of the answers: an object of `text` and `answer_start`, lists of the same length.
    """
    found: list[Problem] = []
    for name, rows in splits.items():
        if not rows:
            found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file or the share"))
        found += texts(name, rows, passage) + texts(name, rows, question)
        for number, row in numbered(rows):
            if wrong := _answers(row[passage], row[answers]):
                hint = f'"{answers}": {{"text": ["Rome"], "answer_start": [17]}}, the place counted in characters'
                found.append(Problem(f"data.{name}: {answers} must {wrong} in row {number}", hint))
    return found


def _answers(passage: Any, answers: Any) -> str | None:
    """What is wrong with the answers of a row."""
    try:
        texts, starts = list(answers["text"]), list(answers["answer_start"])
    except (TypeError, KeyError):
        return f"be an object of text and answer_start, got {str(answers)[:60]!r}"
    if not texts or len(texts) != len(starts):
        return f"have as many places as texts, one or more, got {len(starts)} and {len(texts)}"
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not text or not isinstance(start, int):
            return f"pair a text with a whole number, got {text!r} and {start!r}"
        if isinstance(passage, str) and passage[start : start + len(text)] != text:
            there = passage[start : start + len(text)]
            return f"be in the passage where they say, got {text!r} at {start}, where there is {there!r}"
    return None


def _parts(value: Any) -> list[str] | None:
    """The words of a text, or a list of texts; None for anything else."""
    if isinstance(value, str):
        return None if unwritable(value) else value.split()
    if isinstance(value, Sequence) and all(
        isinstance(each, int) or (isinstance(each, str) and not unwritable(each)) for each in value
    ):
        return [str(each) for each in value]
    return None


def overlap(splits: Splits) -> list[tuple[str, int, float]]:
    """Rows that are in train and, the same in every role, in another split too.

    Returns:
        For each other split that has such rows: its name, their count, and their share of that split.
    """
    train = np.sort(_contents(splits.train))
    found = []
    for name, rows in splits.rows().items():
        if name != "train" and (count := _among(_contents(rows), train)):
            found.append((name, count, count / len(rows)))
    return found


def _among(some: np.ndarray, others: np.ndarray) -> int:
    """How many of some numbers are among others, which are sorted; `np.isin` would load `numpy.ma`, 20 ms."""
    return int((np.searchsorted(others, some, "right") > np.searchsorted(others, some)).sum())


def problems(splits: Splits, roles: Sequence[str], allow_overlap: bool = False) -> tuple[list[Problem], list[str]]:
    """What is wrong with splits whatever the task: rows that are in train and in another split.

    Args:
        splits: All rows.
        roles: What makes two rows the same.
        allow_overlap: Warn only.

    Returns:
        Problems, and warnings for shares below `OVERLAP_LIMIT` or allowed ones.
    """
    found: list[Problem] = []
    warnings: list[str] = []
    for name, count, share in overlap(splits):
        message = f"data.{name}: {count} of {len(splits.rows()[name])} rows ({share:.2%}) are also in train"
        if share < OVERLAP_LIMIT or allow_overlap:
            warnings.append(f"{message}; a score on them says little")
        else:
            same = f"the same {' and '.join(roles)}"
            hint = "remove them from one of the two, or set data.allow_overlap: true"
            found.append(Problem(f"{message} ({same})", hint))
    return found, warnings


def _contents(rows: Sequence[Row]) -> np.ndarray:
    return hashes("\n".join([f"{role} {_content(row[role])}" for role in sorted(row)]) for row in rows)


def _content(value: Any) -> str:
    # A label is the same as a number and as a text, as files of two formats may have it.
    return identity(value) if isinstance(value, _LONG) else repr(str(value))


def unwritable(text: str) -> bool:
    """Whether a text has half of a surrogate pair: JSON can say it, but no tokenizer takes it, and no file holds it."""
    return _SURROGATE.search(text) is not None


def texts(split: str, rows: Sequence[Row], role: str) -> list[Problem]:
    """What is wrong with the texts of a split, which must be some and not blank."""
    wrong = [index for index, row in numbered(rows) if not isinstance(row[role], str)]
    blank = [index for index, row in numbered(rows) if isinstance(row[role], str) and not row[role].strip()]
    broken = [index for index, row in numbered(rows) if isinstance(row[role], str) and unwritable(row[role])]
    found = []
    if broken:
        message = f"data.{split}: {role} must be Unicode text, got halves of surrogate pairs in {row_numbers(broken)}"
        found.append(
            Problem(message, "remove those rows, or the escapes from \\ud800 to \\udfff without their other half")
        )
    if wrong:
        kind = next(type(row[role]).__name__ for row in rows if not isinstance(row[role], str))
        found.append(
            Problem(
                f"data.{split}: {role} must be text, got {kind} in {row_numbers(wrong)}",
                f"is data.columns.{role} right?",
            )
        )
    if blank:
        found.append(
            Problem(f"data.{split}: {role} must not be blank, but is in {row_numbers(blank)}", "remove those rows")
        )
    return found


def _labels(split: str, rows: Sequence[Row], role: str) -> list[Problem]:
    wrong = [index for index, row in numbered(rows) if not _is_label(row[role])]
    if not wrong:
        return []
    got = next(row[role] for row in rows if not _is_label(row[role]))
    return [
        Problem(
            f"data.{split}: {role} must be a name or a whole number, got {got!r} in {row_numbers(wrong)}",
            "remove or label those rows",
        )
    ]


def _unseen(split: str, rows: Sequence[Row], known: Collection[str], role: str) -> list[Problem]:
    unseen = ordered({label_name(row[role]) for row in rows if _is_label(row[role])} - set(known))
    if not unseen or not known:
        return []
    return [
        Problem(
            f"data.{split}: has labels that train lacks: {listed([repr(label) for label in unseen])}",
            "add training rows for them, or remove their rows",
        )
    ]


def _is_label(value: Any) -> bool:
    return isinstance(value, int | np.integer) or (
        isinstance(value, str) and bool(value.strip()) and not unwritable(value)
    )


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def row_numbers(numbers: Sequence[int]) -> str:
    """`row 3` or `rows 3, 5, 9 and 2 more`, counted from 1 without a header."""
    return ("row " if len(numbers) == 1 else "rows ") + listed([str(number) for number in numbers])
