"""`edgesft compare` as a person calls it: real runtime, tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.cli.main import main
from tests.measure import models

QUICK = ("--quiet", "--seconds", "40")
"""Far more time than it takes, which is a few seconds: a busy machine may need it."""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of models; read only."""
    folder = tmp_path_factory.mktemp("zoo")
    models.save_product(folder / "one.onnx", width=64)
    models.save_product(folder / "many.onnx", width=64, repeats=40)
    models.save_product(folder / "wide.onnx", width=65)
    models.save_streaming(folder / "stream.onnx")
    (folder / "broken.onnx").write_bytes((folder / "one.onnx").read_bytes()[:-50])
    (folder / "text.onnx").write_text("no model")
    return folder


def test_a_slower_candidate_fails(zoo: Path, tmp_path: Path) -> None:
    written = tmp_path / "found.json"
    arguments = [str(zoo / "many.onnx"), str(zoo / "one.onnx"), "--axis", "batch=8", *QUICK]
    assert main(["compare", *arguments, "--format", "json", "--output", str(written)]) == 1
    found = json.loads(written.read_text())
    (line,) = [each for each in found["lines"] if each["name"] == "latency.p50"]
    assert line["change"] == "slower" and line["lower"] > found["bar"] and found["seconds"] < 40
    assert {each["verdict"] for each in found["lines"] if each["gates"]} == {"fail"}


def test_a_faster_candidate_passes_and_the_table_says_so(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(zoo / "one.onnx"), str(zoo / "many.onnx"), "--axis", "batch=8", *QUICK]) == 0
    told = capsys.readouterr().out
    assert "faster" in told and "noise floor" in told


def test_too_little_time_is_inconclusive(zoo: Path, tmp_path: Path) -> None:
    arguments = ["compare", str(zoo / "one.onnx"), str(zoo / "one.onnx"), "--axis", "batch=8", "--quiet"]
    arguments += ["--seconds", "0.1", "--format", "json", "--output", str(tmp_path / "found.json")]
    assert main(arguments) == 3
    assert main([*arguments, "--on-inconclusive", "warn"]) == 0
    assert main([*arguments, "--on-inconclusive", "fail"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["one.onnx"], 2, "a candidate and a baseline"),
        (["one.onnx", "one.onnx", "one.onnx"], 2, "a candidate and a baseline"),
        (["gone.onnx", "one.onnx"], 2, "gone.onnx"),
        (["broken.onnx", "one.onnx"], 2, "broken.onnx"),
        (["one.onnx", "text.onnx"], 2, "text.onnx"),
        (["one.onnx", "wide.onnx"], 2, "baseline's inputs"),
        (["one.onnx", "one.onnx", "--min-effect", "0"], 2, "min effect must be above 0"),
        (["one.onnx", "one.onnx", "--seconds", "0"], 2, "seconds must be above 0"),
        (["one.onnx", "one.onnx", "--max-drop", "-1"], 2, "max drop must be from 0"),
        (["one.onnx", "one.onnx", "--scenario", "sustained"], 2, "by turns"),
        (["one.onnx", "one.onnx", "--provider", "cpu", "--provider", "cuda"], 2, "2 providers"),
        (["one.onnx", "one.onnx", "budget.latency_ms.p50=1"], 2, "no budget, got budget.latency_ms.p50=1"),
        (["one.onnx", "one.onnx", "budget={size_mb: 1}"], 2, "edgesft check"),
        (["one.onnx", "one.onnx", "measure.samples=900"], 2, "--seconds"),
        (["one.onnx", "one.onnx", "threads=0"], 2, "threads"),
        (["one.onnx", "one.onnx", "--rows", "rows.jsonl"], 2, "contract.json"),
        (["one.onnx", "one.onnx", "--provider", "qnn"], 4, "QNNExecutionProvider"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    zoo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(zoo)
    kept = tmp_path / "found.json"
    kept.write_text("before")
    got = main(["compare", *words, "--quiet", "--format", "json", "--output", str(kept)])
    assert got == code and told in capsys.readouterr().err
    assert kept.read_text() == "before" and list(tmp_path.iterdir()) == [kept]


def test_a_candidate_that_the_runtime_refuses_is_the_candidate(
    zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = models.save_node(tmp_path / "strange.onnx", "NoSuchOperator", shape=("batch", 64))
    assert main(["compare", str(strange), str(zoo / "one.onnx"), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "candidate" in told and "strange.onnx" in told and "NoSuchOperator" in told
