"""Where a gate's command writes what was found, and with which code it ends."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edgesft.cli import output
from edgesft.errors import InputError, UnavailableError
from edgesft.report import gate
from tests.report.gates import check, line

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(output.SUMMARY, raising=False)


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=Path)
    parser.add_argument("--words", nargs="*", default=[])
    output.arguments(parser)
    return argparse.Namespace(command="check", **vars(parser.parse_args(words)))


def said(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        output.check(options(*words))
    return str(caught.value)


PASSING, FAILING, OPEN = check(line("nodes")), check(line("nodes", "fail")), check(line("nodes", "inconclusive"))


def test_formats_are_those_of_the_report() -> None:
    assert tuple(gate.FORMATS) == output.FORMATS


@pytest.mark.parametrize(
    ("document", "words", "code"),
    [
        (PASSING, [], 0),
        (FAILING, [], 1),
        (OPEN, [], 3),
        (OPEN, ["--on-inconclusive", "warn"], 0),
        (OPEN, ["--on-inconclusive", "fail"], 1),
        (FAILING, ["--on-inconclusive", "warn"], 1),
        (PASSING, ["--on-inconclusive", "fail"], 0),
    ],
)
@pytest.mark.parametrize("form", output.FORMATS)
def test_exit_codes(document: Any, words: list[str], code: int, form: str) -> None:
    assert output.emit(document, options("--format", form, *words)) == code


@pytest.mark.parametrize("words", [["--format", "xml"], ["--on-inconclusive", "ignore"]])
def test_choices(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options(*words)
    assert caught.value.code == 2 and "invalid choice" in capsys.readouterr().err


# What is written ------------------------------------------------------------------------------------------------------


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(FAILING, options())
    out, err = capsys.readouterr()
    assert "edgesft check of model.onnx" in out and out.rstrip().endswith("1 line: 1 failed") and not err


def test_one_measurement_in_many_formats(capsys: pytest.CaptureFixture[str]) -> None:
    asked = options(
        "--also", "junit=a.xml", "--also", "json=a=b.json", "--also", "sarif=a.sarif", "--also", "table=a.txt"
    )
    output.check(asked)
    assert output.emit(FAILING, asked) == 1
    assert ElementTree.parse("a.xml").getroot().tag == "testsuites"
    assert json.loads(Path("a=b.json").read_text()) == FAILING
    assert json.loads(Path("a.sarif").read_text())["version"] == "2.1.0"
    assert "verdict: fail" in Path("a.txt").read_text("utf-8") and "verdict: fail" in capsys.readouterr().out
    assert sorted(entry.name for entry in Path().iterdir()) == ["a.sarif", "a.txt", "a.xml", "a=b.json"]


def test_a_file_instead_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    Path("found.json").write_text("what an earlier run found, and much longer than what comes" * 1000)
    asked = options("--format", "json", "--output", "found.json")
    output.check(asked)
    assert Path("found.json").read_text().startswith("what an earlier run")
    output.emit(OPEN, asked)
    out, err = capsys.readouterr()
    assert json.loads(Path("found.json").read_text()) == OPEN
    assert out == "" and "verdict: inconclusive, written to 'found.json'" in err


@posix
def test_files_are_for_others_too_and_links_stay_links() -> None:
    Path("real").mkdir()
    Path("link.md").symlink_to("real/found.md")
    asked = options("--format", "markdown", "--output", "link.md")
    output.check(asked)
    output.emit(PASSING, asked)
    assert Path("link.md").is_symlink() and Path("real/found.md").read_text("utf-8").startswith("<!-- edgesft:")
    assert Path("real/found.md").stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("old.json").write_text("old")

    def replace(part: str, target: Path, replaced: Any = os.replace) -> None:
        if target.name == "old.json":
            raise OSError(28, "No space left on device")
        replaced(part, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UnavailableError, match="the disk is full"):
        output.emit(FAILING, options("--format", "json", "--output", "old.json", "--also", "junit=new.xml"))
    assert Path("old.json").read_text() == "old" and Path("new.xml").exists()
    assert "verdict: fail" in capsys.readouterr().out
    assert sorted(entry.name for entry in Path().iterdir()) == ["new.xml", "old.json"]


# GitHub ---------------------------------------------------------------------------------------------------------------


def test_annotations_then_the_table_where_nothing_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    document = check(line("nodes", "fail"), notes=["a\n::error::forged"])
    assert output.emit(document, options("--format", "github")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error title=edgesft%3A nodes of model.onnx::")
    assert lines[1].startswith("::stop-commands::")
    token = lines[1].rpartition("::")[2]
    assert len(token) >= 32 and lines[-1] == f"::{token}::"
    assert "::error::forged" in lines[2:-1] and any("verdict: fail" in each for each in lines[2:-1])


def test_the_summary_is_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("summary.md")
    file.write_text("before\n")
    monkeypatch.setenv(output.SUMMARY, str(file.absolute()))
    output.emit(FAILING, options("--format", "github"))
    output.emit(FAILING, options("--format", "github", "--output", "commands.txt"))
    text = file.read_text("utf-8")
    assert text.startswith("before\n## ❌ edgesft check failed") and text.count("## ❌") == 2
    assert Path("commands.txt").read_text().startswith("::error ")
    output.emit(FAILING, options())
    assert file.read_text("utf-8") == text


def test_a_full_summary_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("summary.md")
    file.write_bytes(b"x" * (output.SUMMARY_BYTES - 10))
    monkeypatch.setenv(output.SUMMARY, str(file))
    assert output.emit(FAILING, options("--format", "github")) == 1
    assert file.stat().st_size == output.SUMMARY_BYTES - 10 and "the summary is left out" in capsys.readouterr().err


def test_a_summary_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(output.SUMMARY, "no/such/folder/summary.md")
    assert output.emit(PASSING, options("--format", "github")) == 0
    assert "the summary is left out" in capsys.readouterr().err


# What cannot work, said before anything is measured -------------------------------------------------------------------

BAD = {
    "no such format": (["--also", "xml=a.xml"], "--also must begin with one of table, json, junit"),
    "no format": (["--also", "a.xml"], "got 'a.xml'"),
    "no file": (["--also", "junit="], "--also must be a format and a file, got 'junit='"),
    "a folder": (["--output", "."], "--output must be a file, got the folder '.'"),
    "no folder": (["--also", "json=no/a.json"], "--also json must lie in a folder that exists, got 'no/a.json'"),
    "a file as folder": (["--output", "budget.yaml/a.json"], "must lie in a folder that exists"),
    "too long": (["--output", "a" * 5000], "must be the name of a file"),
    "one place": (["--output", "a.xml", "--also", "junit=./a.xml"], "got 'a.xml', where --output goes"),
    "one place of two": (["--also", "json=a", "--also", "table=x/../a"], "a file of its own, got 'x/../a'"),
    "the budget": (["--budget", "budget.yaml", "--output", "./budget.yaml"], "got 'budget.yaml' of budget"),
    "one of the words": (["--words", "data", "a.b=c", "--output", "data"], "got 'data' of words"),
    "a model": (["--output", "model.onnx"], "--output must not be a model, got 'model.onnx'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    words, phrase = BAD[case]
    Path("x").mkdir()
    Path("budget.yaml").write_text("size_mb: 1\n")
    Path("data").write_text("rows")
    assert phrase in said(*words)
    assert Path("budget.yaml").read_text() == "size_mb: 1\n" and Path("data").read_text() == "rows"
    assert sorted(entry.name for entry in Path().iterdir()) == ["budget.yaml", "data", "x"]


@posix
def test_a_device_is_no_file() -> None:
    assert "--output must be a plain file, got '/dev/null'" in said("--output", "/dev/null")


@posix
def test_one_place_by_a_link() -> None:
    Path("b").symlink_to("a")
    assert "got 'b', where --output goes" in said("--output", "a", "--also", "json=b")


def test_every_problem_is_told() -> None:
    text = said("--output", ".", "--also", "xml=a", "--also", "json=no/a")
    assert "got the folder" in text and "'xml=a'" in text and "'no/a'" in text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to() -> None:
    Path("mine").mkdir(mode=0o500)
    with pytest.raises(UnavailableError, match="must be writable"):
        output.check(options("--output", "mine/a.json"))


def test_checking_leaves_nothing_behind() -> None:
    output.check(options("--output", "a.json", "--also", "junit=a.xml"))
    assert list(Path().iterdir()) == []
