"""The page that a run leaves beside its results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from edgesft.report import told
from tests.gate.test_artefact import save_moods, save_run
from tests.report.html.reading import read


def save(folder: Path) -> Path:
    return save_run(folder / "run", save_moods(folder / "exported"))


def test_it_lies_beside_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = save(tmp_path)
    assert "finetune: 90.0" in read((found / "report.html").read_text("utf-8")).text
    assert "warning" not in capsys.readouterr().err


def test_without_the_extra_the_run_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").write_text("of an earlier run")
    monkeypatch.setattr(
        told, "find_spec", lambda name: None if name == "matplotlib" else importlib.util.find_spec(name)
    )
    found = save(tmp_path)
    assert "warning: report.html needs matplotlib" in (said := capsys.readouterr().err)
    assert "pip install 'edgesft[report]'" in said
    assert not (found / "report.html").exists() and (found / "results.json").is_file()


def test_a_page_that_fails_costs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(results: object, name: str) -> str:
        raise ZeroDivisionError("a plot")

    monkeypatch.setattr(told, "run", broken)
    found = save(tmp_path)
    assert "report.html could not be made: ZeroDivisionError" in capsys.readouterr().err
    assert json.loads((found / "results.json").read_text())["verdict"] == "pass"
