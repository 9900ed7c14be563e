"""`edgesft check` as a person calls it: exit codes, messages, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.cli.main import main
from tests.measure import models

BUDGET = "version: 1\nsize_mb: 1\nnodes: 3\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with a model and a budget that it holds."""
    monkeypatch.chdir(tmp_path)
    models.save_product(tmp_path / "m.onnx", repeats=3)
    (tmp_path / "budget.yaml").write_text(BUDGET)
    return tmp_path


def check(*words: str) -> int:
    return main(["check", "m.onnx", "--budget", "budget.yaml", "--quiet", *words])


def test_it_holds_and_every_output_is_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formats = ("json", "junit", "sarif", "github", "markdown")
    assert check(*(word for form in formats for word in ("--also", f"{form}={form}.out"))) == 0
    assert "verdict: pass" in capsys.readouterr().out
    assert [form for form in formats if not (home / f"{form}.out").read_text()] == ["github"], "nothing to annotate"
    found = json.loads((home / "json.out").read_text())
    assert found["schema"] == "edgesft/check" and [line["verdict"] for line in found["lines"]] == ["pass"] * 2


def test_a_value_on_the_command_line_replaces_the_budgets(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("nodes=2") == 1
    assert "fail" in capsys.readouterr().out
    assert (home / "budget.yaml").read_text() == BUDGET


def test_values_of_the_profile_may_stand_beside_them(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ("measure.seconds=0.05", "measure.samples=30", "measure.rounds=10", "measure.warmup_seconds=0.1")
    assert check("latency_ms.p50=1000", "threads=2", *quick, "--axis", "batch=1") == 0
    assert "threads 2" in capsys.readouterr().out


def test_the_budget_names_a_profile_beside_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "gates"
    folder.mkdir()
    (folder / "board.yaml").write_text(
        "name: board\ndescription: a board\nthreads: 1\nproviders: [{name: CPUExecutionProvider}]\n"
        "static_shapes: true\n"
    )
    (folder / "budget.yaml").write_text(BUDGET + "profile: board.yaml\n")
    assert main(["check", "m.onnx", "--budget", "gates/budget.yaml", "--quiet"]) == 1
    told = capsys.readouterr().out
    assert "free_axes" in told and "board" in told


@pytest.mark.parametrize(
    ("mode", "code"), [((), 3), (("--on-inconclusive", "warn"), 0), (("--on-inconclusive", "fail"), 1)]
)
def test_what_is_inconclusive_ends_as_asked(home: Path, mode: tuple[str, ...], code: int) -> None:
    (home / "budget.yaml").write_text("version: 1\nmin_metric: {accuracy: 0.9}\n")
    assert check(*mode) == code


def test_a_forgotten_baseline_is_not_green(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "budget.yaml").write_text("version: 1\nmax_growth: {size: 0}\n")
    assert check("--also", "json=check.json") == 3
    said = capsys.readouterr().out
    assert "no baseline was given" in said and "no limit was set" not in said
    assert main(["baseline", "update", "check.json", "--baseline", "base.json"]) == 0
    assert check("--baseline", "base.json") == 0


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("version: 1\nlatency_s: {p95: 5}\n", "latency_ms"),
        ("version: 1\nlatency_ms: {p96: 5}\n", "p9"),
        ("version: 1\nlatency_ms: {p95: 5 ms}\n", "budget.yaml:2"),
        ("version: 1\nsize_mb: 25MB\n", "size_mb"),
        ("version: 1\nmax_growth: {sise: 0.1}\n", "size"),
        ("version: 2\nsize_mb: 25\n", "version"),
        ("version: 1\n", "must have at least one limit"),
        ("[1, 2", "budget.yaml"),
    ],
)
def test_a_budget_that_cannot_be(home: Path, capsys: pytest.CaptureFixture[str], budget: str, told: str) -> None:
    (home / "budget.yaml").write_text(budget)
    (home / "found.json").write_text("before")
    assert check("--also", "json=found.json") == 2
    assert told in capsys.readouterr().err
    assert (home / "found.json").read_text() == "before"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("second.onnx",), "one file or folder"),
        (("--baseline", "gone.json"), "gone.json"),
        (("--baseline", "budget.yaml"), "budget.yaml"),
        (("--measurements", "gone.jsonl"), "gone.jsonl"),
        (("--measurements", "budget.yaml"), "budget.yaml"),
        (("--rows", "gone.jsonl"), "gone.jsonl"),
        (("--profile", "x86-1-threads"), "x86-1-thread"),
        (("--provider", "cpu", "--provider", "cuda"), "one for a check"),
        (("--also", "json=m.onnx"), "model"),
        (("--also", "json=budget.yaml"), "budget"),
        (("nodes=many",), "nodes"),
        (("budget.latency_ms.p95=5",), "Try: latency_ms.p95=5"),
    ],
)
def test_other_bad_input(home: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str) -> None:
    before = {file: file.read_bytes() for file in home.iterdir()}
    assert check(*words) == 2
    assert told in capsys.readouterr().err
    assert {file: file.read_bytes() for file in home.iterdir()} == before


def test_an_artefact_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "gone.onnx", "--budget", "budget.yaml", "--quiet"]) == 2
    assert "gone.onnx" in capsys.readouterr().err
