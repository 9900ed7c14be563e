"""What is wrong with labelled rows. All problems at once, each with what to try."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from edgesft.data.splits import Splits
from edgesft.errors import Problem

Row = Mapping[str, Any]

OVERLAP_LIMIT = 0.01
"""Share of a split's rows that may also be in train before a score on it says more than it knows: the size of the
one-point drops that budgets are made of."""
SHOWN = 5
"""Names or row numbers listed in a message before it says how many more there are."""

_WHOLE = re.compile(r"-?\d+")


def label_name(value: Any) -> str:
    """A label as the contract stores it."""
    return str(value)


def ordered(labels: Collection[str]) -> list[str]:
    """Labels in a stable order: by value where all are whole numbers, else by their text."""
    if all(_WHOLE.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def classification(splits: Mapping[str, Sequence[Row]], *, text: str, label: str) -> list[Problem]:
    """Everything wrong with rows that pair a text with one label.

    Args:
        splits: Rows by split (`train`, `validation`, `test`).
        text: Role of the input.
        label: Role of the answer.
    """
    found: list[Problem] = []
    for name, rows in splits.items():
        if not rows:
            found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file or the share"))
        found += _texts(name, rows, text)
        found += _labels(name, rows, label)
    known = {label_name(row[label]) for row in splits.get("train", ()) if _is_label(row[label])}
    if len(known) == 1:
        found.append(
            Problem(
                f"data.train: must hold at least two labels, got only {next(iter(known))!r}",
                f"is data.columns.{label} the right column?",
            )
        )
    return found + [
        problem for name in splits if name != "train" for problem in _unseen(name, splits[name], known, label)
    ]


def overlap(splits: Splits) -> list[tuple[str, int, float]]:
    """Rows that are in train and, the same in every role, in another split too.

    Returns:
        For each other split that has such rows: its name, their count, and their share of that split.
    """
    train = {_content(row) for row in splits.train}
    found = []
    for name, rows in splits.rows().items():
        count = 0 if name == "train" else sum(_content(row) in train for row in rows)
        if count:
            found.append((name, count, count / len(rows)))
    return found


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


def _content(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((role, str(value)) for role, value in row.items()))


def _texts(split: str, rows: Sequence[Row], role: str) -> list[Problem]:
    wrong = [index for index, row in enumerate(rows, 1) if not isinstance(row[role], str)]
    blank = [index for index, row in enumerate(rows, 1) if isinstance(row[role], str) and not row[role].strip()]
    found = []
    if wrong:
        kind = type(rows[wrong[0] - 1][role]).__name__
        found.append(
            Problem(
                f"data.{split}: {role} must be text, got {kind} in {_row_numbers(wrong)}",
                f"is data.columns.{role} right?",
            )
        )
    if blank:
        found.append(
            Problem(f"data.{split}: {role} must not be blank, but is in {_row_numbers(blank)}", "remove those rows")
        )
    return found


def _labels(split: str, rows: Sequence[Row], role: str) -> list[Problem]:
    wrong = [index for index, row in enumerate(rows, 1) if not _is_label(row[role])]
    if not wrong:
        return []
    got = rows[wrong[0] - 1][role]
    return [
        Problem(
            f"data.{split}: {role} must be a name or a whole number, got {got!r} in {_row_numbers(wrong)}",
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
    return isinstance(value, int) or (isinstance(value, str) and bool(value.strip()))


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _row_numbers(numbers: Sequence[int]) -> str:
    """`row 3` or `rows 3, 5, 9 and 2 more`, counted from 1 without a header."""
    return ("row " if len(numbers) == 1 else "rows ") + listed([str(number) for number in numbers])
