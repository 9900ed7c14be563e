"""What each user did, in order of time, of a file whose rows are single interactions."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, overload

import numpy as np

from edgesft.errors import InputError, Problem
from edgesft.spec.interactions import InteractionsSpec

Row = Mapping[str, Any]

USER, ITEM, TIME, RATING = "user", "item", "time", "rating"
"""Roles of a file's columns; without `time` the order is the file's."""

ROLES, OPTIONAL = (USER, ITEM), (TIME, RATING)

ITEMS, NEXT = "items", "next"
"""Of a history: what came first, and what came then."""


@dataclass(frozen=True)
class Histories:
    """Interactions by user, in order of time; of one time in the file's order.

    Attributes:
        users: Names, in the order in which they come first.
        items: The same of items.
        starts: Where the interactions of each user start in `done`, int64 of shape [users + 1].
        done: Numbers of items, user by user, int32.
        repeated: Interactions that were left out because their user had done the same before.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    starts: np.ndarray
    done: np.ndarray
    repeated: int

    def rows(self, without: int = 0) -> Sequence[Row]:
        """A row a user: `user`, `items` and `next`, the one after them; of users who did two things at least.

        Args:
            without: Latest interactions of each user that are left out.
        """
        return _Rows(self, without)

    @property
    def single(self) -> int:
        """Users who did one thing, after which nothing came."""
        return int((np.diff(self.starts) == 1).sum())


class _Rows(Sequence[Row]):
    """Rows that are made when they are asked for: a list of names takes many times the memory of their numbers."""

    def __init__(self, histories: Histories, without: int) -> None:
        self._histories, self._without = histories, without
        self._users = np.flatnonzero(np.diff(histories.starts) > without + 1)

    def __len__(self) -> int:
        return len(self._users)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        own, user = self._histories, int(self._users[index])
        done = own.done[own.starts[user] : own.starts[user + 1] - self._without]
        *items, last = (own.items[number] for number in done)
        return {USER: own.users[user], ITEMS: items, NEXT: last}


def gather(rows: Iterable[Row], spec: InteractionsSpec, place: object) -> Histories:
    """The histories of interactions, which need not be in any order.

    Args:
        rows: By role; a user and an item are texts or whole numbers, a time a number or an ISO date, a rating a number.
        spec: What counts.
        place: Where they are from.

    Raises:
        InputError: Users or items that are none, ratings or times that are not numbers, no ratings for the threshold;
            the first row of each kind, and how many there are.
    """
    users, items, faults = dict[str, int](), dict[str, int](), _Faults(place)
    who, what, when = array("q"), array("q"), array("d")
    timed: bool | None = None
    for number, row in enumerate(rows, 1):
        user, item = (_name(row[role]) for role in (USER, ITEM))
        time, rating = _moment(row.get(TIME, 0.0)), _number(row.get(RATING))
        if timed is None:
            timed = TIME in row
        if user is None or item is None:
            role = USER if user is None else ITEM
            faults.add(role, f"{role} must be a name or a whole number", row[role], number)
        elif time is None or timed != (TIME in row):
            faults.add(TIME, "time must be a number or an ISO date in every row, or in none", row.get(TIME), number)
        elif rating is None and (RATING in row or spec.threshold is not None):
            faults.add(RATING, "rating must be a number", row.get(RATING), number)
        elif spec.threshold is None or rating is None or rating >= spec.threshold:
            who.append(users.setdefault(user, len(users)))
            what.append(items.setdefault(item, len(items)))
            when.append(time)
    faults.raise_any()
    if not who:
        message = f"{place}: must have interactions rated {spec.threshold:g} or better, got none"
        raise InputError(message, "a lower data.interactions.threshold")
    done = (np.asarray(who), np.asarray(what), np.asarray(when))
    return _ordered(tuple(users), tuple(items), *done, once=spec.repeats == "excluded")


def _ordered(
    users: tuple[str, ...], items: tuple[str, ...], who: np.ndarray, what: np.ndarray, when: np.ndarray, *, once: bool
) -> Histories:
    order = np.lexsort((when, who))
    who, what, when = who[order], what[order], when[order]
    pairs = who * len(items) + what
    # Once for good, or once at a time: the same row twice is a mistake even where people do things again.
    keys = [pairs] if once else [pairs, np.unique(when, return_inverse=True)[1]]
    kept = np.sort(np.unique(np.stack(keys), axis=1, return_index=True)[1])
    starts = np.searchsorted(who[kept], np.arange(len(users) + 1))
    return Histories(users, items, starts, what[kept].astype(np.int32), len(who) - len(kept))


class _Faults:
    """Of each kind of wrong row the first, and how many there are."""

    def __init__(self, place: object) -> None:
        self._place = place
        self._found: dict[str, list[Any]] = {}

    def add(self, kind: str, wrong: str, got: Any, number: int) -> None:
        self._found.setdefault(kind, [wrong, got, number, 0])[3] += 1

    def raise_any(self) -> None:
        problems = []
        for kind, (wrong, got, number, count) in self._found.items():
            more = f", and {count - 1} more such rows" if count > 1 else ""
            message = f"{self._place}: {wrong}, got {got!r} in row {number}{more}"
            problems.append(Problem(message, f"is data.columns.{kind} the right column? Else remove those rows"))
        if problems:
            raise InputError(problems)


def _name(value: Any) -> str | None:
    """A user or an item as a text; None where it is neither that nor a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
        return None
    return str(value).strip() or None


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _moment(value: Any) -> float | None:
    """Seconds or whatever numbers count in; of a date since 1970."""
    found = _number(value)
    if found is not None or value is None:
        return found
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def warnings(name: str, found: Histories) -> list[str]:
    """What a person should know of the histories of a split."""
    told = []
    if found.single:
        told.append(
            f"data.{name}: {found.single} of {len(found.users)} users did one thing only and are left out: "
            "nothing follows it"
        )
    if found.repeated:
        total = found.repeated + len(found.done)
        told.append(f"data.{name}: {found.repeated} of {total} interactions repeat an earlier one and are left out")
    return told


def catalogue(rows: Sequence[Row], least: int = 1) -> list[str]:
    """Items of histories that have so many interactions at least, the most frequent first, then by name."""
    counts: dict[str, int] = {}
    for row in rows:
        for item in (*row[ITEMS], row[NEXT]):
            counts[item] = counts.get(item, 0) + 1
    return sorted((item for item, count in counts.items() if count >= least), key=lambda item: (-counts[item], item))
