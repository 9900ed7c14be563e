"""What a JSON value must look like, and what is said where it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from edgesft.ship.shape import NATURAL, POSITIVE, Each, wrong

SHAPE = {
    "name": re.compile("[a-z]+"),
    "kind": {"x", "y"},
    "size": POSITIVE,
    "list": [NATURAL],
    "more?": Each((str, None, [float]), re.compile(r"\d")),
}
GOOD: dict[str, Any] = {"name": "a", "kind": "x", "size": 1, "list": [0, 1], "more": {"1": None, "2": [1, 0.5]}}


def test_right() -> None:
    assert list(wrong(GOOD, SHAPE)) == []
    assert list(wrong({key: GOOD[key] for key in GOOD if key != "more"}, SHAPE)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "A"}, "name must be a text like [a-z]+, got 'A'"),
        ({"kind": ["x"]}, "kind must be one of x, y, got ['x']"),
        ({"size": True}, "size must be a whole number from 1 on, got True"),
        ({"size": 2**53}, "size must be a whole number from 1 on"),
        ({"list": [0, 1.0]}, "list.1 must be a whole number from 0 on, got 1.0"),
        ({"list": {}}, "list must be a list, got {}"),
        ({"more": {"1": [10**400]}}, "more.1 must be a text or null or a list of a number, got [1000"),
        ({"more": {"1": [float("inf")]}}, "more.1 must be a text or null or a list of a number, got [inf]"),
        ({"more": {"1": [True]}}, "more.1 must be a text or null or a list of a number, got [True]"),
        ({"more": {"a": None}}, "more must be an object"),
        ({"other": 1}, "other must not be there, got 1"),
    ],
)
def test_wrong(change: dict[str, Any], words: str) -> None:
    (found,) = wrong({**GOOD, **change}, SHAPE)
    assert found.startswith(words)


def test_missing() -> None:
    assert list(wrong({}, {"a": str})) == ["a must be there, got none"]
    assert list(wrong([], {"a": str})) == ["it must be an object, got []"]
