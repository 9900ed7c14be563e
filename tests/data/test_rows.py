"""Rows on the disk are those that would be in memory."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.ipc
import pytest

from edgesft.data import Splits, load, rows
from edgesft.data.chunks import CHUNK
from edgesft.data.rows import Rows
from edgesft.data.schema import RowSchema
from edgesft.errors import InputError, UnavailableError
from edgesft.spec.recipe import DataSpec
from edgesft.store.store import Store
from tests import tiny

ROLES = ("text", "label")


def many(count: int) -> list[dict[str, Any]]:
    return [{"text": f"text {n} grüße\n", "label": n % 3} for n in range(count)]


def written(folder: Path, data: list[dict[str, Any]], name: str = "a") -> list[Path]:
    (folder / name).mkdir()
    found = rows.write(data, folder / name, "train.jsonl")
    assert found == rows.files(folder / name)
    return found


def test_like_a_list(tmp_path: Path) -> None:
    data = many(2 * CHUNK + 5)
    found = Rows(written(tmp_path, data), ROLES)
    assert list(found) == data and len(found) == len(data)
    for index in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 4, -1):
        assert found[index] == data[index]
    assert found[CHUNK - 2 : CHUNK + 2] == data[CHUNK - 2 : CHUNK + 2] and found[::-700] == data[::-700]
    with pytest.raises(IndexError):
        found[len(data)]


def test_some_of_several_files(tmp_path: Path) -> None:
    data = many(CHUNK + 7)
    files = [*written(tmp_path, data[:3], "a"), *written(tmp_path, data[3:], "b")]
    indices = np.asarray([0, 2, 3, 4, CHUNK + 2, CHUNK + 3, CHUNK + 6])
    found = rows.chosen(Rows(files, ROLES), indices)
    assert list(found) == [data[index] for index in indices] == [found[place] for place in range(7)]
    again = rows.chosen(found, np.asarray([1, 5]))
    assert list(rows.seen(again, ["label"])) == [{"label": data[2]["label"]}, {"label": data[CHUNK + 3]["label"]}]


def test_rows_keep_the_numbers_that_they_were_read_by(tmp_path: Path) -> None:
    data = many(9)
    for whole in (data, Rows([*written(tmp_path, data[:4], "a"), *written(tmp_path, data[4:], "b")], ROLES)):
        some = rows.chosen(whole, np.asarray([1, 3, 4, 8]))
        fewer = rows.seen(rows.chosen(some, np.asarray([0, 3])), ["text"])
        assert list(rows.numbers(whole)) == list(range(1, 10)) and list(rows.numbers(some)) == [2, 4, 5, 9]
        assert list(rows.numbered(fewer)) == [(2, {"text": data[1]["text"]}), (9, {"text": data[8]["text"]})]


def test_rows_of_any_task(tmp_path: Path) -> None:
    data = [
        {"context": "a b", "answers": {"text": ["b"], "answer_start": [2]}, "tags": ["O", "B-X"]},
        {"context": None, "answers": {"text": [], "answer_start": []}, "tags": []},
    ]
    assert list(Rows(written(tmp_path, data), list(data[0]))) == data


def test_rows_that_lack_what_others_have(tmp_path: Path) -> None:
    data: list[dict[str, Any]] = many(2 * CHUNK + 20)
    data[1]["context"], data[3]["context"] = "said before", None
    for late in range(CHUNK + 3, CHUNK + 9):
        data[late] |= {"offset": late / 2, "messages": [{"role": "user"}]}
    files = written(tmp_path, data)
    # A column that has its first value in a later chunk, when a file has its types, begins another file.
    found = Rows(files, (*ROLES, "context", "offset", "messages", "never"))
    assert list(found) == data and len(files) == 2
    assert all(found[place] == data[place] for place in (0, 1, 3, CHUNK + 2, CHUNK + 3, 2 * CHUNK + 19))
    some = rows.chosen(found, np.asarray([1, CHUNK + 3]))
    assert list(rows.seen(some, ["context", "offset"])) == [{"context": "said before"}, {"offset": (CHUNK + 3) / 2}]


def test_mappings_have_the_keys_that_they_had(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"role": "user", "content": "grüße"}
    data: list[dict[str, Any]] = [{"messages": [plain]} for _ in range(2 * CHUNK + 20)]
    data[7] = {"messages": [{**plain, "name": None}, plain]}
    data[CHUNK + 3] = {"messages": [plain, {"role": "tool", "calls": [{"id": 3, "rate": 0.5}, {"id": 4}]}]}
    data[CHUNK + 4] = {}
    for rows_of in (data, [{"messages": []}] * CHUNK + data[CHUNK:], data[8:], [{"a": None}] * CHUNK + data):
        (folder := tmp_path / str(len(list(tmp_path.iterdir())))).mkdir()
        found = Rows(written(folder, rows_of), ("messages", "a"))
        assert list(found) == rows_of and [found[place] for place in range(len(found))] == rows_of


def test_numbers_stay_numbers_whatever_they_are(tmp_path: Path) -> None:
    # What is no number equals nothing, itself included.
    files = written(tmp_path, [{"signal": [[0.5, float("nan")]], "label": n} for n in range(3)])
    with pyarrow.ipc.open_file(str(files[0])) as stream:
        assert stream.schema.field("signal").type == pyarrow.list_(pyarrow.list_(pyarrow.float64()))
    assert all(np.isnan(row["signal"][0][1]) for row in Rows(files, ("signal",)))


def test_bytes_have_no_place_where_keys_vary(tmp_path: Path) -> None:
    alike = [{"image": {"bytes": b"\x00", "path": None}}] * 3
    assert list(Rows(written(tmp_path, alike), ("image",))) == alike
    with pytest.raises(InputError, match="must hold texts and numbers where keys differ from row to row: .*bytes"):
        written(tmp_path, [*alike, {"image": {"bytes": b"\x00"}}], "b")


@pytest.mark.parametrize(("first", "other", "said"), [(1, "1", "int and str"), (1, 2.0, "int and float")])
def test_values_of_two_kinds(tmp_path: Path, first: Any, other: Any, said: str) -> None:
    # A chunk apart, for the first one decides on the type.
    data = [{"text": "a", "label": label} for label in [first] * CHUNK + [other]]
    with pytest.raises(InputError, match=f"of train.jsonl must hold values of one kind, got {said} in 'label'"):
        written(tmp_path, data)


def test_lists_of_two_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold values of one kind in a column"):
        written(tmp_path, [{"tokens": ["a"]}, {"tokens": [1]}])


def test_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnavailableError, match=r"data\.on_disk: needs pyarrow"):
        written(tmp_path, many(1))


def both(base: Path, roles: tuple[str, ...] = ROLES, **values: Any) -> tuple[Splits, Splits]:
    """The splits in memory and on the disk."""
    store = Store(base / "store")
    given = {"train": "train.jsonl", **values}
    return (
        load(DataSpec.model_validate(given), RowSchema(roles), base, 3, store),
        load(DataSpec.model_validate({**given, "on_disk": True}), RowSchema(roles), base, 3, store),
    )


@pytest.mark.parametrize(
    "values",
    [
        {"validation": 0.2, "test": 0.1},
        {"validation": "dev.jsonl", "per_class": 5},
        {"validation": 0.3, "group": "who", "per_class": 4},
        {"train": {"mood": "train.jsonl", "other": "dev.jsonl"}, "validation": 0.2},
    ],
)
def test_the_same_splits(tmp_path: Path, values: dict[str, Any]) -> None:
    data = [{**row, "who": f"person {n % 9}"} for n, row in enumerate(tiny.rows(120))]
    tiny.write_rows(tmp_path / "train.jsonl", data + data[:20])
    tiny.write_rows(tmp_path / "dev.jsonl", [{**row, "who": "someone"} for row in tiny.rows(30, seed=1)])
    roles = (*ROLES, "head") if isinstance(values.get("train"), dict) else ROLES
    memory, disk = both(tmp_path, roles, **values)
    for name, found in disk.rows().items():
        assert isinstance(found, Rows) and list(found) == memory.rows()[name] and len(found) > 0


def test_columns_that_only_some_rows_have(tmp_path: Path) -> None:
    data: list[dict[str, Any]] = [{"prompt": f"ask {n}", "answer": f"answer {n}"} for n in range(40)]
    for row in data[1::3]:
        row["context"] = f"about {row['prompt']}"
    tiny.write_rows(tmp_path / "train.jsonl", data)
    given = {"train": "train.jsonl", "validation": 0.25}
    schema, store = RowSchema(("prompt", "answer"), ("context", "system")), Store(tmp_path / "store")
    memory, disk = (
        load(DataSpec.model_validate({**given, "on_disk": each}), schema, tmp_path, 3, store) for each in (False, True)
    )
    assert list(disk.train) == memory.train and list(disk.validation) == memory.validation
    assert any("context" in row for row in disk.train) and not any("system" in row for row in disk.train)


def test_written_once_and_read_anew_where_the_file_changed(tmp_path: Path) -> None:
    tiny.write_rows(tmp_path / "train.jsonl", tiny.rows(50))
    both(tmp_path)
    kept = {place: place.stat().st_mtime_ns for place in (tmp_path / "store" / "objects").glob("*/*")}
    both(tmp_path, validation=0.5)
    assert kept and kept == {place: place.stat().st_mtime_ns for place in kept}
    tiny.write_rows(tmp_path / "train.jsonl", tiny.rows(60))
    _, disk = both(tmp_path)
    assert len(disk.train) + len(disk.validation) == 60


def test_what_is_wrong_is_said_and_nothing_kept(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "b"}\nno\n{"text": "a"}\n')
    for validation in (0.1, "train.jsonl"):
        with pytest.raises(InputError, match=r"train.jsonl:2: not valid JSON"):
            both(tmp_path, on_disk=True, validation=validation)
    assert not list((tmp_path / "store" / "objects").glob("*"))
