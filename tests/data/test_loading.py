"""Every reader, and what it says of a file that it cannot read."""

from __future__ import annotations

import builtins
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.data import loading
from edgesft.errors import InputError, UnavailableError

ROWS = [{"text": "a, b\nc", "label": "x"}, {"text": 'say "hi" \u2028 grüße', "label": "y"}]


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        loading.read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"a, b\nc",x\n"say ""hi"" \u2028 grüße",y\n'),
        ("bom.csv", '\ufefftext,label\r\n"a, b\nc",x\r\n"say ""hi"" \u2028 grüße",y\r\n'),
        ("excel.csv", '\ufefftext;label\r\n"a, b\nc";x\r\n"say ""hi"" \u2028 grüße";y\r\n'),
        ("tabs.csv", 'text\tlabel\n"a, b\nc"\tx\n"say ""hi"" \u2028 grüße"\ty\n'),
        ("a.tsv", 'text\tlabel\n"a, b\nc"\tx\n"say ""hi"" \u2028 grüße"\ty\n'),
        ("a.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n"),
        ("a.json", json.dumps(ROWS)),
        ("a.JSON", json.dumps(ROWS)),
    ],
)
def test_reads(tmp_path: Path, name: str, content: str) -> None:
    assert loading.read(put(tmp_path, name, content)) == ROWS


def test_reads_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert loading.read(tmp_path / "a.parquet") == ROWS


def test_a_column_whose_name_has_a_semicolon(tmp_path: Path) -> None:
    assert loading.read(put(tmp_path, "a.csv", '"text; of all",label\na,x\n')) == [{"text; of all": "a", "label": "x"}]


def test_long_fields_are_read(tmp_path: Path) -> None:
    text = "word " * 60_000
    assert loading.read(put(tmp_path, "a.csv", f"text,label\n{text},x\n")) == [{"text": text, "label": "x"}]


def test_a_first_line_that_is_long_is_read(tmp_path: Path) -> None:
    csv.field_size_limit(2**17)  # As in a new process.
    name = "word " * 60_000
    assert loading.read(put(tmp_path, "a.csv", f"{name},label\na,x\n")) == [{name: "a", "label": "x"}]


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", "text,label\na,x\nb\nc,d,e\n", ["a.csv:3:", "2 columns", "got 1", "a.csv:4:", "got 3"]),
        ("a.csv", 'text,label\n"a"b,x\n', ["a.csv:2:", "Try:"]),
        ("a.csv", "text,text\na,b\n", ["a.csv:1:", "'text' repeatedly"]),
        ("a.csv", "", ["at least one row"]),
        ("a.csv", "text,label\n", ["at least one row"]),
        (
            "a.jsonl",
            '{"text": "a"}\n{"text": \n[1]\n',
            ["a.jsonl:2: not valid JSON", "a.jsonl:3: must be an object, got list"],
        ),
        ("a.jsonl", "", ["at least one row"]),
        ("a.csv", "\ntext,label\na,x\n", ["a.csv:1: must hold the column names, got an empty line"]),
        ("a.jsonl", f'{{"text": {"9" * 5000}}}\nno\n', ["a.jsonl:1: must be JSON that", "a.jsonl:2: not valid JSON"]),
        ("a.json", f'[{{"text": {"9" * 5000}}}]', ["a.json: must be JSON that Python reads"]),
        ("a.jsonl", "[" * 200_000 + "\n", ["a.jsonl:1: "]),
        ("a.csv", "text,label\na,x\n".encode("utf-16"), ["the byte order mark of UTF-16", "iconv -f UTF-16 -t UTF-8"]),
        ("a.npz", npy(), ["not a readable npz file: it is one array", "numpy.savez"]),
        ("a.npz", b"", ["not a readable npz file"]),
        ("a.json", '{"text": "a"}', ["must be a list of objects, got dict"]),
        ("a.json", '{"text": "a"}\n{"text": "b"}', ["a.json:2:", "name it .jsonl"]),
        ("a.json", '[{"text": "a"}, 3]', ["entry 2 must be an object, got int"]),
        ("a.jsonl", b'{"text": "a"}\n{"text": "gr\xfc\xdfe"}\n', ["a.jsonl:2: must be UTF-8", "0xfc", "iconv"]),
        ("a.xlsx", "", ["must end in one of .csv", "'.xlsx'"]),
        ("a.jsnl", "", ["Try: .jsonl"]),
    ],
)
def test_names_what_is_wrong_and_where(tmp_path: Path, name: str, content: str | bytes, parts: list[str]) -> None:
    message = complaint(put(tmp_path, name, content))
    for part in parts:
        assert part in message


def test_many_bad_lines_are_counted_not_all_shown(tmp_path: Path) -> None:
    message = complaint(put(tmp_path, "a.jsonl", "no\n" * 20))
    assert message.count("not valid JSON") == loading.SHOWN
    assert "15 more" in message


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    put(tmp_path, "train.jsonl", "{}")
    assert "train.jsonl" in complaint(tmp_path / "trian.jsonl").split("Try:")[1]
    assert "must be a file, got the folder" in complaint(tmp_path)


def test_damaged_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert "not a readable parquet file" in complaint(put(tmp_path, "a.parquet", "nonsense"))


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnavailableError, match=r"edgesft\[parquet\]"):
        loading.read(put(tmp_path, "a.parquet", "nonsense"))
