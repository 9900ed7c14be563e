"""`edgesft history` as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.cli.main import main
from tests.gate.checks import document, times, write


def folder(tmp_path: Path, *levels: tuple[float, int]) -> str:
    return str(write(tmp_path, [document(value, day=day) for day, value in enumerate(times(*levels))]))


def test_a_step_is_shown_and_fails_only_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slower = folder(tmp_path, (5e6, 10), (6e6, 6))
    assert main(["history", slower]) == 0
    out = capsys.readouterr().out
    assert "2025-03-11 04:05" in out and "worse" in out and "× 1.2" in out
    assert "16 files, 3 series: 1 with steps, in 1 the newest level is worse" in out
    assert main(["history", slower, "--fail-on-step"]) == 1
    assert main(["history", slower, "--fail-on-step", "--figure", "size"]) == 0
    assert main(["history", slower, "--fail-on-step", "--min-step", "0.5"]) == 0


@pytest.mark.parametrize("levels", [[(6e6, 10), (5e6, 6)], [(5e6, 16)], [(5e6, 9), (7e6, 8), (5e6, 8)], [(5e6, 1)]])
def test_nothing_worse_does_not_fail(levels: list[tuple[float, int]], tmp_path: Path) -> None:
    assert main(["history", folder(tmp_path, *levels), "--fail-on-step"]) == 0


def test_json_has_every_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", folder(tmp_path, (5e6, 7)), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["schema_version"], told["files"], told["worsened"]) == ("edgesft/history", 1, 7, False)
    assert [len(series["points"]) for series in told["series"]] == [7, 7, 7]


def test_files_stand_anywhere_on_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path, (5e6, 2))
    words = [str(tmp_path / "0.json"), "--figure", "p50", str(tmp_path / "1.json"), "--format", "markdown"]
    assert main(["history", *words]) == 0
    assert capsys.readouterr().out.startswith("## 2 files, 1 series")


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = folder(tmp_path, (5e6, 2))
    for words, told in (
        ([], "history must find at least one results file, got no file and no folder"),
        ([str(tmp_path / "none")], "none' must be a file, a folder or a pattern"),
        ([some, "--figure", "p5O"], "--figure must be a figure of the files, got 'p5O'"),
        ([some, "--model", "m"], "--model must be a model of the files, got 'm'"),
        ([some, "--min-step", "-1"], "--min-step must be a share of 0 or more, got '-1'"),
        ([some, "--min-step", "nan"], "got 'nan'"),
    ):
        assert main(["history", *words]) == 2
        assert told in capsys.readouterr().err


def test_a_cut_off_file_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = Path(folder(tmp_path, (5e6, 2)))
    (some / "1.json").write_text((some / "1.json").read_text()[:200])
    assert main(["history", str(some)]) == 2
    error = capsys.readouterr().err
    assert "1.json' must be whole JSON, got" in error and "line 1, column" in error
