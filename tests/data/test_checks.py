"""Checks of labelled rows."""

from __future__ import annotations

from typing import Any

import pytest

from edgesft.data import Splits, checks

GOOD = [{"text": f"text {index}", "label": index % 2} for index in range(200)]
ROLES = ("text", "label")


def messages(**splits: list[dict[str, Any]]) -> list[str]:
    return [str(problem) for problem in checks.classification(splits, text="text", label="label")]


def split(test: list[dict[str, Any]]) -> Splits:
    return Splits(GOOD, [{"text": "other", "label": 0}], test)


def test_good_rows_have_no_problems() -> None:
    assert messages(train=GOOD, validation=[{"text": "b", "label": "1"}, {"text": "c", "label": 0}]) == []


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        ([], "data.validation: must hold at least one row"),
        ([{"text": " \n", "label": 1}], "text must not be blank, but is in row 1"),
        ([{"text": None, "label": 1}], "text must be text, got NoneType in row 1"),
        ([{"text": 3, "label": 1}] * 7, "got int in rows 1, 2, 3, 4, 5 and 2 more"),
        ([{"text": "a", "label": None}], "label must be a name or a whole number, got None in row 1"),
        ([{"text": "a", "label": ""}], "label must be a name or a whole number, got '' in row 1"),
        ([GOOD[0], {"text": "a \ud83d", "label": 1}], "halves of surrogate pairs in row 2"),
        ([{"text": "a", "label": "\udc00"}], "label must be a name or a whole number, got '\\udc00' in row 1"),
        ([{"text": "a", "label": 0.5}], "label must be a name or a whole number, got 0.5 in row 1"),
        ([{"text": "a", "label": 2}, {"text": "b", "label": "x"}], "has labels that train lacks: '2', 'x'"),
    ],
)
def test_each_bad_row(bad: list[dict[str, Any]], part: str) -> None:
    found = messages(train=GOOD, validation=bad)
    assert len(found) == 1
    assert part in found[0]
    assert "Try:" in found[0]


def test_one_class_only() -> None:
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}]
    assert any("at least two labels, got only 'x'" in message for message in messages(train=rows, validation=rows))


def test_all_problems_at_once() -> None:
    assert len(messages(train=GOOD, validation=[{"text": "", "label": 5}], test=[])) == 3


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["b", "a", "10"], ["10", "a", "b"]),
    ],
)
def test_order_of_labels(labels: list[str], order: list[str]) -> None:
    assert checks.ordered(labels) == order


def test_overlap_counts_rows_that_are_the_same_in_every_role() -> None:
    test = [GOOD[0], {**GOOD[1], "label": 0}, {"text": "new", "label": 1}, {"text": GOOD[2]["text"], "label": "0"}]
    assert checks.overlap(split(test)) == [("test", 2, 0.5)]


def test_overlap_of_a_percent_is_a_problem_unless_allowed() -> None:
    test = [GOOD[0], *({"text": f"new {index}", "label": 0} for index in range(99))]
    found, warnings = checks.problems(split(test), ROLES)
    assert "data.test: 1 of 100 rows (1.00%) are also in train" in found[0].message
    assert "allow_overlap" in str(found[0].hint)
    assert warnings == []
    found, warnings = checks.problems(split(test), ROLES, allow_overlap=True)
    assert found == []
    assert "1 of 100 rows" in warnings[0]


def test_less_overlap_is_a_warning() -> None:
    test = [GOOD[0], *({"text": f"new {index}", "label": 0} for index in range(100))]
    found, warnings = checks.problems(split(test), ROLES)
    assert found == []
    assert "1 of 101 rows" in warnings[0]
