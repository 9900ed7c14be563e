"""What is known of a thing or a moment, as a set of slots: one for each value of each column that train has.

Everything becomes slots, numbers too (by tenths of those that train has), so that nothing need be scaled, what is
missing or was never seen has none, and a model reads all of it by one table.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

SEPARATOR = "|"
"""Between tags in one text."""

MOST = 1000
"""Values of a column that have a slot, the most frequent ones."""

PARTS = 10
"""That the numbers of train are cut into, as many in each."""

FIXED = {"hour": 24, "weekday": 7}
"""Kinds whose values need not be learned; Monday is weekday 0."""

WANTED = {
    "category": "a text or a whole number",
    "tags": "a list of texts, or one text",
    "number": "a number",
    "hour": "a time: a number of seconds since 1970, or an ISO date",
    "weekday": "a time: a number of seconds since 1970, or an ISO date",
}
"""What a value must be."""


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def moment(value: Any) -> float | None:
    """Seconds or whatever numbers count in; of a date since 1970, without a zone in UTC."""
    found = number(value)
    if found is not None or value is None:
        return found
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def taken(value: Any, kind: str) -> list[str] | list[float] | None:
    """What a value says, as a column of that kind is taken: texts or numbers, none where it is missing.

    Returns:
        None where it is not what the kind wants (`WANTED`).
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return []
    if kind == "category":
        return None if (text := _text(value)) is None else [text]
    if kind == "tags":
        parts = value if isinstance(value, list | tuple) else str(value).split(SEPARATOR)
        texts = [_text(part) for part in parts]
        return None if None in texts else [text for text in texts if text]
    found = number(value) if kind == "number" else moment(value)
    if found is None:
        return None
    if kind == "number":
        return [found]
    # From 1970 on, which began on a Thursday.
    return [found // 3600 % 24 if kind == "hour" else (found // 86_400 + 3) % 7]


def _text(value: Any) -> str | None:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)  # As columns with gaps have whole numbers.
    return str(value).strip() if isinstance(value, str | int | np.integer) else None


@dataclass(frozen=True)
class Feature:
    """A column as slots.

    Attributes:
        column: Of the rows.
        kind: How its values are taken.
        values: With a slot each; of numbers where a part ends and the next begins; none of fixed kinds.
    """

    column: str
    kind: str
    values: tuple[str, ...] | tuple[float, ...]

    @property
    def size(self) -> int:
        """How many slots it has."""
        return FIXED.get(self.kind) or len(self.values) + (self.kind == "number")

    def slots(self, row: Mapping[str, Any]) -> list[int]:
        """Those that a row has, none where its value is missing, unseen or not what it must be."""
        found = taken(row.get(self.column), self.kind) or []
        if self.kind in FIXED:
            return [int(each) for each in found]
        if self.kind == "number":
            return [bisect_right(self.values, each) for each in found]  # type: ignore[type-var]
        return sorted({self._places[each] for each in found if each in self._places})

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {each: place for place, each in enumerate(self.values)}


@dataclass(frozen=True)
class Features:
    """Columns as slots, those of one behind those of the one before."""

    each: tuple[Feature, ...] = ()

    @classmethod
    def learned(cls, kinds: Mapping[str, Iterable[str]], rows: Iterable[Mapping[str, Any]]) -> Features:
        """The slots of what rows have.

        Args:
            kinds: Column → how it is taken.
            rows: Of train.
        """
        asked = [(column, kind) for column, said in kinds.items() for kind in said]
        counts: dict[tuple[str, str], Counter[Any]] = {each: Counter() for each in asked if each[1] not in FIXED}
        for row in rows:
            for (column, kind), count in counts.items():
                count.update(taken(row.get(column), kind) or ())
        return cls(tuple(Feature(*each, _values(counts.get(each, Counter()), each[1])) for each in asked))

    @classmethod
    def from_json(cls, said: Iterable[Mapping[str, Any]]) -> Features:
        """Inverse of `to_json`."""
        return cls(tuple(Feature(each["column"], each["kind"], tuple(each["values"])) for each in said))

    def to_json(self) -> list[dict[str, Any]]:
        """JSON form."""
        return [{"column": each.column, "kind": each.kind, "values": list(each.values)} for each in self.each]

    @property
    def columns(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(each.column for each in self.each))

    @property
    def size(self) -> int:
        """How many slots there are."""
        return sum(each.size for each in self.each)

    def slots(self, row: Mapping[str, Any]) -> list[int]:
        """Those that a row has, ascending."""
        found, start = list[int](), 0
        for each in self.each:
            found += [start + place for place in each.slots(row)]
            start += each.size
        return found


def _values(counts: Counter[Any], kind: str) -> tuple[Any, ...]:
    if kind == "number":
        shares = np.linspace(0, 1, PARTS + 1)[1:-1]
        return tuple(map(float, np.unique(np.quantile(list(counts.elements()), shares)))) if counts else ()
    return tuple(sorted(counts, key=lambda each: (-counts[each], each))[:MOST])
