"""What users did, in order of time, and what each split has of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edgesft.data import digest, load
from edgesft.data.histories import OPTIONAL, ROLES, Histories, catalogue, gather, warnings
from edgesft.data.schema import RowSchema
from edgesft.errors import InputError
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.recipe import DataSpec
from edgesft.store.store import Store
from tests import tiny

DONE = [
    {"user": "ann", "item": "c", "time": 30, "rating": 4.0},
    {"user": "ann", "item": "a", "time": 10, "rating": 5.0},
    {"user": "bob", "item": "a", "time": 5, "rating": 1.0},
    {"user": "ann", "item": "b", "time": 20, "rating": 2.0},
    {"user": "ann", "item": "d", "time": 40, "rating": 4.5},
    {"user": "cem", "item": "b", "time": 1, "rating": 4.0},
    {"user": "cem", "item": "a", "time": 2, "rating": 4.0},
]


def gathered(rows: list[dict[str, Any]], **said: Any) -> Histories:
    return gather(rows, InteractionsSpec(**said), "rows")


def told(rows: list[dict[str, Any]], **said: Any) -> list[tuple[str, str]]:
    return [("".join(row["items"]), row["next"]) for row in gathered(rows, **said).rows()]


def complaint(rows: list[dict[str, Any]], **said: Any) -> str:
    with pytest.raises(InputError) as caught:
        gathered(rows, **said)
    return str(caught.value)


def changed(row: int, **values: Any) -> list[dict[str, Any]]:
    return [{**each, **values} if number == row else each for number, each in enumerate(DONE)]


def test_order_is_that_of_time_and_of_the_file_where_times_are_the_same() -> None:
    assert told(DONE) == [("abc", "d"), ("b", "a")]
    assert told([{**row, "time": 0} for row in DONE]) == [("cab", "d"), ("b", "a")]
    assert told([{key: row[key] for key in ("user", "item")} for row in DONE]) == [("cab", "d"), ("b", "a")]


def test_dates_and_numbers_in_text_are_times() -> None:
    days = {10: "2024-01-01", 20: "2024-01-02T10:00:00", 30: "2024-01-02T09:30:00-03:00", 40: datetime(2024, 2, 1)}
    assert told([{**row, "time": days.get(row["time"], "2023-01-01")} for row in DONE]) == [("abc", "d"), ("b", "a")]
    assert told([{**row, "time": str(row["time"])} for row in DONE]) == told(DONE)


def test_who_did_one_thing_is_left_out_and_counted() -> None:
    found = gathered(DONE)
    assert len(found.rows()) == 2 and found.single == 1
    assert "1 of 3 users have only one interaction" in warnings("train", found)[0]


def test_the_latest_are_left_out() -> None:
    found = gathered(DONE)
    assert [row["next"] for row in found.rows(1)] == ["c"]
    assert [row["next"] for row in found.rows(2)] == ["b"]
    assert list(found.rows(3)) == []


def test_the_threshold_leaves_out_lower_ratings() -> None:
    assert told(DONE, threshold=4) == [("ac", "d"), ("b", "a")]
    assert "must have interactions rated 6 or better" in complaint(DONE, threshold=6)
    assert "rating must be a number, got None in row 1, and 6 more" in complaint(
        [{key: row[key] for key in ("user", "item")} for row in DONE], threshold=4
    )


def test_what_was_not_liked_is_read_and_not_asked() -> None:
    (row,) = gathered(DONE, liked=4.5, scale=(1, 5)).rows()
    assert ("".join(row["items"]), row["next"], row["liked"]) == ("abc", "d", [False, False, True])
    assert row["ratings"] == [5, 2, 4]
    found = gathered(DONE, liked=4)
    assert [("".join(row["items"]), row["next"]) for row in found.rows()] == [("abc", "d"), ("b", "a")]
    assert [("".join(row["items"]), row["next"]) for row in found.rows(1)] == [("ab", "c")]
    assert list(found.rows(2)) == [] and found.single == 1
    assert "1 of 3 users liked nothing after their first interaction" in warnings("train", found)[0]


def test_what_is_known_besides() -> None:
    rows = [{**row, "device": f"tv {row['time']}", "genre": [row["item"], "all"]} for row in DONE]
    first, second = gathered(rows, scenario={"device": ["category"]}, about={"genre": ["tags"]}).rows()
    assert first["device"] == "tv 40" and first["moments"] == [{"device": f"tv {time}"} for time in (20, 30, 40)]
    assert first["about"] == [{"genre": [item, "all"]} for item in "abcd"]
    assert second["moments"] == [{"device": "tv 2"}] and "ratings" not in second and "liked" not in second
    nothing = gathered([{**row, "device": None, "genre": ""} for row in rows], scenario={"device": ["category"]})
    assert nothing.rows()[0]["moments"] == [{"device": None}] * 3


def test_repeats() -> None:
    again = [*DONE, {**DONE[1], "time": 50}, DONE[0]]
    assert told(again) == told(DONE) and gathered(again).repeated == 2
    assert told(again, repeats="kept")[0] == ("abcd", "a") and gathered(again, repeats="kept").repeated == 1
    assert "2 of 9 interactions repeat" in " ".join(warnings("train", gathered(again)))


def test_users_and_items_are_names_or_whole_numbers() -> None:
    assert told([{**row, "user": {"ann": 1, "bob": 2}.get(row["user"], 3)} for row in DONE]) == told(DONE)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"user": ""}, "user must be a name or a whole number, got '' in row 3"),
        ({"item": 2.5}, "item must be a name or a whole number, got 2.5 in row 3"),
        ({"rating": "good"}, "rating must be a number, got 'good' in row 3"),
        ({"time": "soon"}, "time must be a number or an ISO date in every row, or in none, got 'soon' in row 3"),
        ({"time": None}, "got None in row 3"),
        ({"time": float("nan")}, "time must be a number"),
    ],
)
def test_rows_that_cannot_be_used(values: dict[str, Any], words: str) -> None:
    assert words in complaint(changed(2, **values))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"scale": (1, 4)}, "rating must be within data.interactions.scale, 1 to 4, got 5.0 in row 2, and 1 more"),
        ({"scenario": {"device": ["category"]}}, "'device' must be a column of every row, got None in row 1"),
        ({"scenario": {"user": ["number"]}}, "'user' must be a number, or empty, got 'ann' in row 1, and 6 more"),
        ({"about": {"item": ["hour"]}}, "'item' must be a time: a number of seconds since 1970, or an ISO date"),
    ],
)
def test_further_columns_that_cannot_be_used(said: dict[str, Any], words: str) -> None:
    assert words in complaint(DONE, **said)


def test_ratings_are_wanted_where_they_are_read() -> None:
    without = [{key: row[key] for key in ("user", "item")} for row in DONE]
    for said in ({"liked": 4}, {"scale": (1, 5)}):
        assert "rating must be a number, got None in row 1" in complaint(without, **said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"scale": (5, 1)}, "scale must be the lowest rating, then the highest"),
        ({"scale": (1, 5), "liked": 7}, "liked must be within scale, 1 to 5, got 7"),
        ({"scenario": {"rating": ["number"]}}, "scenario must only have columns known before the answer, got rating"),
        ({"about": {"genre": ["words"]}}, "'category', 'tags', 'number', 'hour' or 'weekday'"),
    ],
)
def test_what_cannot_be_asked_for(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        InteractionsSpec(**said)


def test_all_kinds_of_wrong_rows_are_told_at_once() -> None:
    said = complaint([*changed(0, rating=""), {**DONE[0], "user": None}, {**DONE[0], "user": None}])
    assert "rating must be a number" in said and "got None in row 8, and 1 more such rows" in said


def test_the_catalogue_has_the_most_frequent_first() -> None:
    rows = gathered(DONE).rows()
    assert catalogue(rows) == ["a", "b", "c", "d"]
    assert catalogue(rows, 2) == ["a", "b"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tiny.write_rows(tmp_path / "train.jsonl", DONE)
    tiny.write_rows(tmp_path / "test.jsonl", [{"user": "eve", "item": item, "time": 1} for item in "dc"])
    return tmp_path


def spec(**values: Any) -> DataSpec:
    return DataSpec.model_validate({"train": "train.jsonl", **values})


def split(base: Path, **values: Any) -> dict[str, list[str]]:
    found = load(spec(**values), RowSchema(ROLES, OPTIONAL, by_user=True), base, 0).rows()
    return {name: ["".join(row["items"]) + ">" + row["next"] for row in rows] for name, rows in found.items()}


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_last_is_test_and_the_one_before_validation(base: Path, on_disk: bool) -> None:
    told = {"train": ["a>b"], "validation": ["ab>c"], "test": ["abc>d", "b>a"]}
    assert split(base, validation="last", test="last", on_disk=on_disk) == told
    assert split(base, validation="last") == {"train": ["ab>c"], "validation": ["abc>d", "b>a"]}


def test_files_of_their_own_and_shares_of_users(base: Path) -> None:
    assert split(base, validation="last", test="test.jsonl")["test"] == ["d>c"]
    # Where nobody did two things there is nothing to share out, which the task tells.
    (base / "once.jsonl").write_text('{"user": "a", "item": "x"}\n{"user": "b", "item": "y"}\n', "utf-8")
    assert split(base, train="once.jsonl", validation=0.5) == {"train": [], "validation": []}
    found = split(base, validation=0.5)
    assert sorted(found["train"] + found["validation"]) == ["abc>d", "b>a"] and len(found["train"]) == 1


def test_last_is_for_users_alone(base: Path) -> None:
    with pytest.raises(InputError, match=r"data\.test: must be 'last' only for recommendation, where rows are users"):
        load(spec(test="last"), RowSchema(ROLES), base, 0)
    with pytest.raises(InputError, match=r"data\.group: must be left out if rows are users"):
        load(spec(group="user"), RowSchema(ROLES, by_user=True), base, 0)


def test_what_is_taken_is_part_of_the_digest(base: Path) -> None:
    found = {digest(spec(**each), base) for each in ({}, {"validation": "last"}, {"interactions": {"threshold": 3}})}
    assert len(found) == 3


def test_what_is_known_lies_on_the_disk_as_well(tmp_path: Path) -> None:
    tiny.write_rows(tmp_path / "train.jsonl", tiny.toured(6))
    tiny.write_rows(tmp_path / "places.jsonl", [{"item": f"place {place}", "floor": place % 3} for place in range(20)])
    known = {"scale": [1, 5], "about": {"where": ["tags"], "floor": ["number"]}, "scenario": {"way": ["category"]}}
    said = spec(validation="last", interactions=known, join={"item": "places.jsonl"})
    memory, disk = (
        load(
            said.model_copy(update={"on_disk": each}),
            RowSchema(ROLES, OPTIONAL, by_user=True),
            tmp_path,
            0,
            Store(tmp_path),
        )
        for each in (False, True)
    )
    assert list(memory.train) == list(disk.train) and list(memory.validation) == list(disk.validation)
    assert {*memory.train[0]["about"][0]} == {"where", "floor"}
