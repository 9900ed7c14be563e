"""What is known of things and moments, as slots."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from edgesft.data.features import Features, taken

KINDS = {"device": ("category",), "genres": ("tags",), "price": ("number",), "time": ("hour", "weekday")}
ROWS = [
    {"device": "phone", "genres": "Drama|War", "price": price, "time": 0} for price in range(1, 11)
] + [{"device": 7, "genres": ["War"], "price": None, "time": ""}]  # fmt: skip
FOUND = Features.learned(KINDS, ROWS)
PRICES = 2 + 2
TIMES = PRICES + 10


def slots(**row: Any) -> list[int]:
    return FOUND.slots(row)


def test_each_value_that_train_has_is_a_slot() -> None:
    assert [(each.column, each.kind, each.size) for each in FOUND.each] == [
        ("device", "category", 2), ("genres", "tags", 2), ("price", "number", 10), ("time", "hour", 24),
        ("time", "weekday", 7),
    ]  # fmt: skip
    assert FOUND.size == 45 and FOUND.columns == ["device", "genres", "price", "time"]
    assert FOUND.each[0].values == ("phone", "7") and FOUND.each[1].values == ("War", "Drama")
    assert slots(device="phone", genres=["Drama", "War", "Drama"]) == [0, 2, 3]
    assert slots(device=7.0) == slots(device="7 ") == slots(device=7) == [1]
    assert Features.from_json(FOUND.to_json()) == FOUND


def test_what_is_missing_or_was_never_seen_has_none() -> None:
    assert slots() == slots(device=None, genres="", price=float("nan"), time=None) == slots(device="watch") == []
    assert slots(genres="Comedy|War") == [2]


def test_numbers_are_told_by_tenths() -> None:
    assert [slots(price=each)[0] - PRICES for each in (-100, 1, 5.4, 5.6, 10, "1e9")] == [0, 0, 4, 5, 9, 9]
    assert Features.learned({"price": ("number",)}, []).slots({"price": 3}) == [0]


@pytest.mark.parametrize(
    ("time", "hour", "weekday"),
    [
        (0, 0, 3),  # Thursday, 1 January 1970
        ("86400", 0, 4),
        (-1, 23, 2),
        ("2024-06-03T17:30:00", 17, 0),
        ("2024-06-03T23:30:00-02:00", 1, 1),
        (datetime(2024, 6, 9, 5), 5, 6),
    ],
)
def test_hours_and_weekdays_are_those_of_utc(time: Any, hour: int, weekday: int) -> None:
    assert slots(time=time) == [TIMES + hour, TIMES + 24 + weekday]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(2.5, "category"), (["a"], "category"), ([2.5], "tags"), ("dear", "number"), ("soon", "hour"), ([], "weekday")],
)
def test_what_values_must_be(value: Any, kind: str) -> None:
    assert taken(value, kind) is None
