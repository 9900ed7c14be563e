"""Splits: from files and carved, the same every time, never with one input on both sides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edgesft.data import checks, digest, load
from edgesft.data.schema import RowSchema
from edgesft.errors import InputError
from edgesft.spec.recipe import DataSpec
from tests import tiny

ROWS = RowSchema(("text", "label"))


def spec(**values: Any) -> DataSpec:
    return DataSpec.model_validate({"train": "train.jsonl", **values})


def complaint(base: Path, **values: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load(spec(**values), ROWS, base, 0)
    return caught.value


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with 200 rows in which each of the first 20 texts occurs three times."""
    rows = tiny.rows(160)
    tiny.write_rows(tmp_path / "train.jsonl", rows + 2 * rows[:20])
    tiny.write_rows(tmp_path / "dev.jsonl", tiny.rows(30, seed=1))
    return tmp_path


def texts(rows: list[dict[str, Any]]) -> set[str]:
    return {row["text"] for row in rows}


def test_shares_are_disjoint_complete_and_of_the_right_size(base: Path) -> None:
    splits = load(spec(validation=0.2, test=0.1), ROWS, base, 0)
    assert splits.test is not None
    assert not texts(splits.train) & texts(splits.validation)
    assert not texts(splits.train) & texts(splits.test)
    assert not texts(splits.validation) & texts(splits.test)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 200
    assert len(texts(splits.validation)) == 32
    assert len(texts(splits.test)) == 16


def test_shares_follow_the_seed_alone(base: Path) -> None:
    first, again = (load(spec(validation=0.2), ROWS, base, 7) for _ in range(2))
    other = load(spec(validation=0.2), ROWS, base, 8)
    assert first == again
    assert first.validation != other.validation


def test_shares_are_stratified(tmp_path: Path) -> None:
    rows = [{"text": f"text {index}", "label": "rare" if index % 10 == 0 else "common"} for index in range(200)]
    tiny.write_rows(tmp_path / "train.jsonl", rows)
    splits = load(spec(validation=0.1), ROWS, tmp_path, 3)
    assert Counter(row["label"] for row in splits.validation) == {"common": 18, "rare": 2}


def test_rows_of_a_share_are_named_by_their_place_in_the_file(tmp_path: Path) -> None:
    data = [{"text": "" if n in (40, 77) else f"text {n}", "label": str(n % 2)} for n in range(1, 101)]
    tiny.write_rows(tmp_path / "train.jsonl", data)
    found = load(spec(validation=0.2, test=0.2), ROWS, tmp_path, 0)
    said = [each.message for name, rows in found.rows().items() for each in checks.texts(name, rows, "text")]
    # Equal inputs go together.
    assert [each.partition(": ")[2] for each in said] == ["text must not be blank, but is in rows 40, 77"]


def test_files_are_read_relative_to_the_base(base: Path) -> None:
    splits = load(spec(validation="dev.jsonl"), ROWS, base, 0)
    assert splits.validation == tiny.rows(30, seed=1)
    assert splits.test is None
    assert set(splits.rows()) == {"train", "validation"}


def test_columns_are_renamed_and_others_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,sentence,mood\n" + "".join(f"{i},s{i},m{i % 2}\n" for i in range(20)))
    columns = {"text": "sentence", "label": "mood"}
    splits = load(spec(train="train.csv", columns=columns), ROWS, tmp_path, 0)
    assert all(set(row) == {"text", "label"} for row in splits.train)
    assert texts(splits.train) | texts(splits.validation) == {f"s{i}" for i in range(20)}


def test_missing_column_names_the_nearest(base: Path) -> None:
    (base / "other.csv").write_text("Texts,mood\na,b\n")
    message = str(complaint(base, validation="other.csv"))
    assert "must have the column 'text' for text, got 'Texts', 'mood'" in message
    assert "data.columns.text=Texts" in message
    assert "column 'label' for label" in message


def test_rows_that_lack_a_column_are_named(base: Path) -> None:
    (base / "dev.jsonl").write_text('{"text": "a", "label": "b"}\n{"text": "a"}\n')
    assert "the column 'label' is missing in 1 of 2 rows, first in row 2" in str(
        complaint(base, validation="dev.jsonl")
    )


def test_roles_turned_round(base: Path) -> None:
    assert "not the other way round" in str(complaint(base, columns={"sentence": "text"}))


def test_all_missing_files_at_once(base: Path) -> None:
    error = complaint(base, train="trian.jsonl", validation="dve.jsonl", test="none.csv")
    assert [problem.message.split(":")[0] for problem in error.problems] == [
        "data.train",
        "data.validation",
        "data.test",
    ]
    assert "train.jsonl" in str(error.problems[0].hint)


def test_all_malformed_files_at_once(base: Path) -> None:
    (base / "dev.jsonl").write_text("no")
    (base / "test.jsonl").write_text("")
    error = complaint(base, validation="dev.jsonl", test="test.jsonl")
    assert len(error.problems) == 2


def test_shares_must_leave_training_rows(base: Path) -> None:
    assert "must leave rows for train, got 1.1" in str(complaint(base, validation=0.5, test=0.6))


def test_digest_follows_bytes_and_reading(base: Path) -> None:
    first = digest(spec(validation="dev.jsonl"), base)
    assert first == digest(spec(validation="dev.jsonl"), base)
    assert first == digest(spec(validation="dev.jsonl", allow_overlap=True), base)
    changed = [
        digest(spec(validation=0.2), base),
        digest(spec(validation="dev.jsonl", max_length=16), base),
        digest(spec(validation="dev.jsonl", columns={"text": "label"}), base),
    ]
    with (base / "dev.jsonl").open("a") as file:
        file.write('{"text": "new", "label": "positive"}\n')
    changed.append(digest(spec(validation="dev.jsonl"), base))
    assert len({first, *changed}) == 5


def test_digest_needs_the_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.train: no such file"):
        digest(spec(), tmp_path)


def grouped(tmp_path: Path, count: int = 200) -> Path:
    """Rows of twenty people, two of whom once wrote the same."""
    rows = [{"text": f"text {n}", "label": "ab"[n % 2], "who": f"person {n % 20}"} for n in range(count)]
    rows[1]["text"] = rows[0]["text"]
    tiny.write_rows(tmp_path / "train.jsonl", rows)
    return tmp_path


def test_groups_stay_together(tmp_path: Path) -> None:
    found = load(spec(validation=0.3, test=0.2, group="who"), ROWS, grouped(tmp_path), 0)
    assert found.test is not None
    people: list[set[int]] = []
    for rows in (found.train, found.validation, found.test):
        assert rows and all(set(row) == {"text", "label"} for row in rows)
        people.append({int(row["text"].split()[1]) % 20 for row in rows})
    assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
    # Person 1 said once what person 0 said: the two go together.
    assert [0 in each for each in people] == [1 in each for each in people]
    assert sum(len(rows) for rows in (found.train, found.validation, found.test)) == 200


def test_a_group_that_is_no_column(tmp_path: Path) -> None:
    found = str(complaint(grouped(tmp_path), validation=0.3, group="whom"))
    assert "data.group: must be a column of every row" in found and "data.group=who" in found


def test_few_rows_of_each_class(tmp_path: Path) -> None:
    base = grouped(tmp_path)

    def drawn(seed: int) -> list[str]:
        found = load(spec(validation=0.2, per_class=3), ROWS, base, seed)
        assert sorted(row["label"] for row in found.train) == ["a", "a", "a", "b", "b", "b"]
        assert len(found.validation) == 40 and not texts(found.train) & texts(found.validation)
        return [row["text"] for row in found.train]

    assert drawn(0) == drawn(0) != drawn(1)


def test_more_than_a_class_has(tmp_path: Path) -> None:
    found = str(complaint(grouped(tmp_path, 20), validation=0.5, per_class=9))
    assert "got 9 where there are 'a'" in found and "data.per_class=" in found


def test_what_is_not_set_keeps_the_digest(base: Path) -> None:
    plain = digest(spec(), base)
    assert plain == digest(spec(group=None), base)
    assert len({plain, digest(spec(group="who"), base), digest(spec(per_class=3), base)}) == 3


def test_files_by_name_fill_the_head(tmp_path: Path) -> None:
    for name, label in (("mood", "good"), ("topic", "sport")):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name} one,{label}\n{name} two,other\n")
    data = DataSpec(train={"mood": "mood.csv", "topic": "topic.csv"}, validation={"topic": "topic.csv"})
    found = load(data, RowSchema(("text", "label", "head")), tmp_path, 0)
    assert [(row["head"], row["label"]) for row in found.train] == [
        ("mood", "good"), ("mood", "other"), ("topic", "sport"), ("topic", "other"),
    ]  # fmt: skip
    assert {row["head"] for row in found.validation} == {"topic"}
    before = digest(data, tmp_path)
    (tmp_path / "mood.csv").write_text("text,label\nelse,good\n")
    assert digest(data, tmp_path) != before


def test_files_by_name_must_be_there_and_wanted(tmp_path: Path) -> None:
    (tmp_path / "mood.csv").write_text("text,label\na,good\nb,bad\n")
    with pytest.raises(InputError, match=r"data\.train\.topic: no such file"):
        load(
            DataSpec(train={"mood": "mood.csv", "topic": "topik.csv"}),
            RowSchema(("text", "label", "head")),
            tmp_path,
            0,
        )
    with pytest.raises(InputError, match=r"data\.train: must be one file, got 1 by name"):
        load(DataSpec(train={"mood": "mood.csv"}), ROWS, tmp_path, 0)
