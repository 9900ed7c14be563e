"""Rows with what further files say of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgesft.data import digest, load
from edgesft.data.schema import RowSchema
from edgesft.errors import InputError
from edgesft.spec.recipe import DataSpec
from tests import tiny

JOIN = {"film": "films.jsonl", "who": "people.jsonl"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    told = [{"text": "good", "film": film, "who": "ann", "label": "a"} for film in (1, 2, 9)]
    tiny.write_rows(tmp_path / "train.jsonl", told)
    tiny.write_rows(tmp_path / "films.jsonl", [{"film": "1", "genre": "War"}, {"film": 2, "genre": "Drama"}])
    tiny.write_rows(tmp_path / "people.jsonl", [{"who": "ann", "town": "Rome", "label": "of a person"}])
    return tmp_path


def spec(join: dict[str, str] = JOIN) -> DataSpec:
    return DataSpec(train="train.jsonl", validation="train.jsonl", join=join)


def rows(base: Path, *roles: str) -> Any:
    return [*load(spec(), RowSchema(roles), base, 0).train]


def test_columns_are_added_by_what_both_have(base: Path) -> None:
    assert rows(base, "genre", "town") == [
        {"genre": "War", "town": "Rome"}, {"genre": "Drama", "town": "Rome"}, {"genre": None, "town": "Rome"},
    ]  # fmt: skip
    assert rows(base, "text", "label")[0] == {"text": "good", "label": "a"}, "what a row has itself stays"


def test_the_files_are_part_of_the_digest(base: Path) -> None:
    found = [digest(spec(each), base) for each in ({}, JOIN, {"film": "films.jsonl"})]
    tiny.write_rows(base / "films.jsonl", [{"film": 1, "genre": "Comedy"}])
    found.append(digest(spec(), base))
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    ("name", "told", "join", "words"),
    [
        ("films", [{"film": 1}, {"film": 1}], JOIN, "must have each 'film' once, got '1' again in row 2"),
        ("films", [{"id": 1}], JOIN, "films.jsonl must have the column 'film', got 'id'"),
        ("films", [{"movie": 1}], {"movie": "films.jsonl"}, "'movie' must be a column of"),
        ("films", [{"film": 1}], {"film": "movies.jsonl"}, "data.join.film: no such file"),
    ],
)
def test_what_cannot_be_joined(
    base: Path, name: str, told: list[dict[str, Any]], join: dict[str, str], words: str
) -> None:
    tiny.write_rows(base / f"{name}.jsonl", told)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        load(spec(join), RowSchema(("text",)), base, 0)
    assert len({each.message for each in caught.value.problems}) == len(caught.value.problems)
