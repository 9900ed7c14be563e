"""Histories: what each user did, in order of time, from a file with one interaction per row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from edgesft.data.features import WANTED, moment, number, taken
from edgesft.errors import InputError, Problem
from edgesft.spec.interactions import InteractionsSpec

Row = Mapping[str, Any]

USER, ITEM, TIME, RATING = "user", "item", "time", "rating"
"""Roles of a file's columns; without `time` the order is the file's."""

ROLES, OPTIONAL = (USER, ITEM), (TIME, RATING)

ITEMS, NEXT = "items", "next"
"""Of a history: what came first, and what came then."""

RATINGS, LIKED, MOMENTS, ABOUT = "ratings", "liked", "moments", "about"
"""How each of `items` was rated; whether what came after each was liked, and what was known when it came; what each of
`items` and `next` is."""


@dataclass(frozen=True)
class Noted:
    """What a column says of interactions.

    Attributes:
        values: The different ones.
        places: Of each interaction the place of its value, int32.
    """

    values: tuple[Any, ...]
    places: np.ndarray

    def of(self, places: slice) -> list[Any]:
        """Its values of some interactions."""
        return [self.values[place] for place in self.places[places]]


@dataclass(frozen=True)
class Histories:
    """Interactions by user, in order of time; of one time in the file's order.

    Attributes:
        users: Names, in the order in which they come first.
        items: The same of items.
        starts: Where the interactions of each user start in `done`, int64 of shape [users + 1].
        done: Numbers of items, user by user, int32.
        repeated: Interactions that were left out because their user had done the same before.
        liked: Whether each is one that may be asked for, bool; None where all are.
        ratings: Of each, float32; None where nobody reads them.
        scenario: By column what was known of each.
        about: By column what is known of each item.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    starts: np.ndarray
    done: np.ndarray
    repeated: int
    liked: np.ndarray | None = None
    ratings: np.ndarray | None = None
    scenario: Mapping[str, Noted] = field(default_factory=dict)
    about: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def rows(self, without: int = 0) -> Sequence[Row]:
        """A row a user: `user`, `items` and `next`, the one after them, of users who did two things at least, and liked
        what is `next`; and where they are known `ratings`, `liked`, `moments`, `about`, and by its column what was
        known when `next` came.

        Args:
            without: Latest interactions of each user, of those that may be asked for, that are left out.
        """
        return _Rows(self, without)

    def asked(self) -> np.ndarray:
        """Places of the interactions that something came before and that were liked, int64, ascending."""
        may = np.ones(len(self.done), bool) if self.liked is None else self.liked.copy()
        may[self.starts[:-1]] = False
        return np.flatnonzero(may)

    @property
    def single(self) -> int:
        """Users of whom nothing is asked: they did one thing, or liked none after the first."""
        return len(self.users) - len(np.unique(np.searchsorted(self.starts, self.asked(), "right")))


class _Rows(Sequence[Row]):
    """Rows that are made when they are asked for: a list of names takes many times the memory of their numbers."""

    def __init__(self, histories: Histories, without: int) -> None:
        self._histories = histories
        places = histories.asked()
        # Of each user the last place, or the one so many before it.
        ends = np.searchsorted(places, histories.starts)
        kept = np.flatnonzero(np.diff(ends) > without)
        self._users, self._next = kept, places[ends[kept + 1] - 1 - without]

    def __len__(self) -> int:
        return len(self._users)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        own, user, last = self._histories, int(self._users[index]), int(self._next[index])
        start = int(own.starts[user])
        done = own.done[start : last + 1]
        *items, then = (own.items[place] for place in done)
        row: dict[str, Any] = {USER: own.users[user], ITEMS: items, NEXT: then}
        if own.ratings is not None:
            row[RATINGS] = own.ratings[start:last].tolist()
        if own.liked is not None:
            row[LIKED] = own.liked[start + 1 : last + 1].tolist()
        if own.scenario:
            known = {column: noted.of(slice(start + 1, last + 1)) for column, noted in own.scenario.items()}
            row[MOMENTS] = [dict(zip(known, each, strict=True)) for each in zip(*known.values(), strict=True)]
            row |= row[MOMENTS][-1]
        if own.about:
            row[ABOUT] = [{column: each[place] for column, each in own.about.items()} for place in done]
        return row


def gather(rows: Iterable[Row], spec: InteractionsSpec, place: object) -> Histories:
    """The histories of interactions, which need not be in any order.

    Args:
        rows: By role; a user and an item are texts or whole numbers, a time a number or an ISO date, a rating a number.
        spec: What counts, and which further columns there are.
        place: Where they are from.

    Raises:
        InputError: Users or items that are none; ratings, times or further columns that are not what they must be; no
            ratings where they are wanted. The first row of each kind, and how many there are.
    """
    found, faults = _Gathered(spec), _Faults(place)
    for count, row in enumerate(rows, 1):
        if (wrong := found.wrong(row)) is not None:
            faults.add(*wrong, count)
        else:
            found.add(row)
    faults.raise_any()
    if not len(found.who):
        message = f"{place}: must have interactions rated {spec.threshold:g} or better, got none"
        raise InputError(message, "a lower data.interactions.threshold")
    return found.ordered()


class _Gathered:
    """Interactions as numbers, in the file's order."""

    def __init__(self, spec: InteractionsSpec) -> None:
        self._spec = spec
        self._users, self._items = dict[str, int](), dict[str, int]()
        self.who, self._what, self._when, self._rated = array("q"), array("q"), array("d"), array("d")
        self._values: dict[str, dict[Any, int]] = {column: {} for column in spec.scenario}
        self._noted: dict[str, array[int]] = {column: array("i") for column in spec.scenario}
        self._about: dict[str, list[Any]] = {column: [] for column in spec.about}
        self._timed: bool | None = None
        self._low, self._high = spec.scale or (float("-inf"), float("inf"))
        self._rates = any(each is not None for each in (spec.threshold, spec.liked, spec.scale))

    def wrong(self, row: Row) -> tuple[str, str, Any] | None:
        """Column, what it must be, and what it is, of a row that cannot be used."""
        if self._timed is None:
            self._timed = TIME in row
        for role in (USER, ITEM):
            if _name(row[role]) is None:
                return role, f"{role} must be a name or a whole number", row[role]
        if moment(row.get(TIME, 0.0)) is None or self._timed != (TIME in row):
            return TIME, "time must be a number or an ISO date in every row, or in none", row.get(TIME)
        rating = number(row.get(RATING))
        if rating is None and (RATING in row or self._rates):
            return RATING, "rating must be a number", row.get(RATING)
        if rating is not None and not self._low <= rating <= self._high:
            return RATING, f"rating must be within data.interactions.scale, {self._low:g} to {self._high:g}", rating
        for column, kinds in (*self._spec.about.items(), *self._spec.scenario.items()):
            if column not in row:
                return column, f"{column!r} must be a column of every row", None
            for kind in kinds:
                if taken(row[column], kind) is None:
                    return column, f"{column!r} must be {WANTED[kind]}, or empty", row[column]
        return None

    def add(self, row: Row) -> None:
        """A row that is not wrong; one that is rated below the threshold does not count."""
        rating = number(row.get(RATING))
        if self._spec.threshold is not None and rating is not None and rating < self._spec.threshold:
            return
        user, item = str(_name(row[USER])), str(_name(row[ITEM]))
        if item not in self._items:
            for column, values in self._about.items():
                values.append(row[column])
        self.who.append(self._users.setdefault(user, len(self._users)))
        self._what.append(self._items.setdefault(item, len(self._items)))
        self._when.append(moment(row.get(TIME, 0.0)) or 0.0)
        self._rated.append(float("nan") if rating is None else rating)
        for column, places in self._noted.items():
            known, value = self._values[column], row[column]
            value = tuple(value) if isinstance(value, list) else value
            places.append(known.setdefault(value, len(known)))

    def ordered(self) -> Histories:
        """User by user, in order of time."""
        spec, who, what, when = self._spec, *(np.asarray(each) for each in (self.who, self._what, self._when))
        order = np.lexsort((when, who))
        pairs = (who * len(self._items) + what)[order]
        # Once for good, or once at a time: the same row twice is a mistake even where people do things again.
        once = spec.repeats == "excluded"
        keys = [pairs] if once else [pairs, np.unique(when[order], return_inverse=True)[1]]
        kept = order[np.sort(np.unique(np.stack(keys), axis=1, return_index=True)[1])]
        starts, rated = np.searchsorted(who[kept], np.arange(len(self._users) + 1)), np.asarray(self._rated)[kept]
        return Histories(
            tuple(self._users),
            tuple(self._items),
            starts,
            what[kept].astype(np.int32),
            len(who) - len(kept),
            None if spec.liked is None else rated >= spec.liked,
            None if spec.scale is None else rated.astype(np.float32),
            {name: Noted(tuple(self._values[name]), np.asarray(each)[kept]) for name, each in self._noted.items()},
            self._about,
        )


class _Faults:
    """Of each kind of wrong row the first, and how many there are."""

    def __init__(self, place: object) -> None:
        self._place = place
        self._found: dict[str, list[Any]] = {}

    def add(self, kind: str, wrong: str, got: Any, row: int) -> None:
        self._found.setdefault(kind, [wrong, got, row, 0])[3] += 1

    def raise_any(self) -> None:
        problems = []
        for kind, (wrong, got, row, count) in self._found.items():
            more = f", and {count - 1} more such rows" if count > 1 else ""
            message = f"{self._place}: {wrong}, got {got!r} in row {row}{more}"
            problems.append(Problem(message, f"is data.columns.{kind} the right column? Else remove those rows"))
        if problems:
            raise InputError(problems)


def _name(value: Any) -> str | None:
    """A user or an item as a text; None where it is neither that nor a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
        return None
    return str(value).strip() or None


def warnings(name: str, found: Histories) -> list[str]:
    """What a person should know of the histories of a split."""
    told = []
    if found.single:
        did = "have only one interaction" if found.liked is None else "liked nothing after their first interaction"
        told.append(
            f"data.{name}: {found.single} of {len(found.users)} users {did}, so there is no next item, and are left out"
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
