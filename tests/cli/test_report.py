"""`edgesft report` as a person calls it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from edgesft.cli.main import main
from edgesft.report import formats
from tests.report import gates
from tests.report.html import made
from tests.report.html.reading import read


def runs(folder: Path, count: int = 2) -> list[str]:
    """Folders of runs that differ a little."""
    places = []
    for number in range(count):
        place = folder / f"run-{number}"
        place.mkdir()
        (place / "results.json").write_text(json.dumps(made.results(warnings=[f"number {number}"])))
        places.append(str(place))
    return places


def test_a_run_as_a_page_beside_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place,) = runs(tmp_path, 1)
    assert main(["report", place, "--format", "html"]) == 0
    assert read((Path(place) / "report.html").read_text("utf-8")).text.startswith("\nrun-0")
    assert capsys.readouterr().out == f"report: {place}/report.html\n"


def test_several_runs_as_a_page_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *runs(tmp_path), "--format", "html"]) == 0
    assert "Comparison: run-0, run-1" in read((tmp_path / "report.html").read_text("utf-8")).text


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("form", "word"), [("table", "prune"), ("markdown", "| :-- |"), ("json", '"schema"')])
def test_other_forms_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, word: str, count: int
) -> None:
    assert main(["report", *runs(tmp_path, count), "--format", form]) == 0
    out = capsys.readouterr().out
    assert (word if form != "table" or count == 1 else "run-1 ★") in out
    assert form != "json" or json.loads(out)["verdict"] == "fail"


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    (tmp_path / "check.json").write_text(json.dumps(gates.check()))
    assert main(["report", str(tmp_path / "check.json"), "--format", form]) == 0
    assert form != "html" or (tmp_path / "check.html").is_file()


def test_an_output_of_one_s_own(tmp_path: Path) -> None:
    assert main(["report", *runs(tmp_path, 1), "--format", "markdown", "--output", str(tmp_path / "r.md")]) == 0
    assert (tmp_path / "r.md").read_text("utf-8").startswith("## ❌ run-0")


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_a_damaged_run_is_named(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = runs(tmp_path)
    (Path(bad) / "results.json").write_text('{"schema": "edgesft/results", "schema_version": 1}')
    for words in ([bad], [good, bad]):
        assert main(["report", *words, "--format", form]) == 2
        told = capsys.readouterr().err
        assert f"'{bad}/results.json' must be as edgesft wrote it" in told and good not in told


def test_an_output_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = runs(tmp_path, 1)
    results = (tmp_path / "run-0" / "results.json").read_text()
    for place, told in (
        ("run-0/results.json", "must not be a file that is read"),
        ("run-0", "must be a file, got the folder"),
        ("none/x.md", "must lie in a folder that exists"),
        ("run-0/model.onnx", "must not be a model"),
    ):
        assert main(["report", run, "--format", "markdown", "--output", str(tmp_path / place)]) == 2
        assert told in capsys.readouterr().err
    assert (tmp_path / "run-0" / "results.json").read_text() == results


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2 and "got none" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2
    assert main(["report", "x", "--serve", str(tmp_path)]) == 2


def test_without_the_extra_it_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        formats, "find_spec", lambda name: None if name == "matplotlib" else importlib.util.find_spec(name)
    )
    places = runs(tmp_path, 1)
    assert main(["report", *places, "--format", "html"]) == 4
    assert "pip install 'edgesft[report]'" in capsys.readouterr().err
    assert main(["report", *places]) == 0, "a table needs no plots"
    assert main(["report", "--serve", str(tmp_path)]) == 4


def seconds(command: list[str]) -> float:
    """Median of the processor's seconds that a command takes: on a busy machine the clock tells of the others, too."""
    resource = pytest.importorskip("resource")
    took = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(took)


@pytest.mark.slow
def test_twenty_runs_in_three_seconds(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    command = [
        sys.executable,
        "-m",
        "edgesft",
        "report",
        *runs(tmp_path, 20),
        "--format",
        "html",
        "--output",
        str(page),
    ]
    assert seconds(command) < 3
    assert page.stat().st_size < 2_000_000


@pytest.mark.slow
def test_help_takes_a_fifth_of_a_second() -> None:
    assert seconds([sys.executable, "-m", "edgesft", "--help"]) < 0.2
