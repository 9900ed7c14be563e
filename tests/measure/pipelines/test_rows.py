from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.errors import InputError
from edgesft.measure.pipelines import read_rows


def test_rows_are_spread_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": str(number)}) + "\n" for number in range(10)), "utf-8")
    assert [row["text"] for row in read_rows(path, 5)] == ["0", "2", "4", "6", "8"]
    assert len(read_rows(path, 100)) == 10


def test_lines_of_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("\ufeffone\n\n  two \u2028 lines\r\n", "utf-8")
    assert [row["text"].strip() for row in read_rows(path, 9)] == ["one", "two \u2028 lines"]


def test_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for name in ("cat/b.JPG", "cat/notes.md", "a.png"):
        (tmp_path / name).touch()
    assert [row["image"] for row in read_rows(tmp_path, 9)] == [str(tmp_path / "a.png"), str(tmp_path / "cat/b.JPG")]


def test_images_of_a_table_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("image,label\ncats/1.jpg,cat\n/data/2.jpg,dog\n", "utf-8")
    found = read_rows(tmp_path / "rows.csv", 9)
    assert found == [
        {"image": str(tmp_path / "cats/1.jpg"), "label": "cat"},
        {"image": "/data/2.jpg", "label": "dog"},
    ]


@pytest.mark.parametrize("name", ["rows.txt", "rows.jsonl", "rows.xls", "missing.txt", "missing.csv"])
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_text(" \n", "utf-8")
    with pytest.raises(InputError, match=name.split(".")[0]):
        read_rows(tmp_path / name, 9)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold pictures or sounds, got none"):
        read_rows(tmp_path, 9)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match="must be UTF-8, got the byte 0xe9"):
        read_rows(tmp_path / "rows.txt", 9)
