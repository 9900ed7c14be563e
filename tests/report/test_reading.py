from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.errors import InputError
from edgesft.report import formats, reading
from tests.report.html import made


def write(file: Path, **changes: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(made.results(**changes)))
    return file


def test_folders_files_and_runs_on_several_profiles(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a" / "results.json"), write(tmp_path / "b.json")
    write(tmp_path / "c" / "phone" / "results.json", profile="phone")
    write(tmp_path / "c" / "board" / "results.json")
    found = reading.read([str(one.parent), str(two), str(tmp_path / "c")])
    assert [each.name for each in found] == ["a", "b", "board", "c/phone"]
    assert [each.page.relative_to(tmp_path).as_posix() for each in found[:2]] == ["a/report.html", "b.html"]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{")
    (tmp_path / "other.json").write_text('{"schema": "elsewhere"}')
    (tmp_path / "list.json").write_text("[]")
    later = write(tmp_path / "later.json", schema_version=2)
    words = [str(tmp_path / name) for name in ("no.json", "other.json", "list.json", "missing")]
    with pytest.raises(InputError) as caught:
        reading.read([*words, str(later)])
    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 5 and "schema version 1, got 2" in messages[4] and "missing" in messages[3]


def test_no_run_is_an_error() -> None:
    with pytest.raises(InputError, match="got none"):
        reading.read([])


def test_names_that_are_alike_get_their_folders(tmp_path: Path) -> None:
    words = [str(write(tmp_path / each / "run" / "results.json").parent) for each in ("a", "b")]
    assert [each.name for each in formats.named(reading.read(words))] == ["a/run", "b/run"]


def test_only_runs_stand_beside_each_other(tmp_path: Path) -> None:
    write(tmp_path / "a" / "results.json")
    (tmp_path / "bench.json").write_text('{"schema": "edgesft/bench", "schema_version": 1}')
    found = reading.read([str(tmp_path / "a"), str(tmp_path / "bench.json")])
    for form in (formats.document, formats.html, formats.markdown):
        with pytest.raises(InputError, match="all be of runs, got .* of a bench"):
            form(found)


def test_what_lies_below_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "a" / "results.json")
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": "x" * 9000}))
    write(tmp_path / ".hidden" / "results.json")
    write(tmp_path.joinpath(*"abcdefgh") / "results.json")
    assert [file.relative_to(tmp_path).as_posix() for file in reading.below(tmp_path)] == ["a/results.json"]
