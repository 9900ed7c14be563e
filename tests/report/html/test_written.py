"""The page that a run leaves beside its results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from edgesft import api
from edgesft.report import formats
from edgesft.store.store import Store
from tests.gate.test_artefact import save_moods, save_run
from tests.report.html.reading import read


def save(folder: Path) -> Path:
    return save_run(folder / "run", save_moods(folder / "exported"))


def test_it_lies_beside_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = save(tmp_path)
    page = read((found / "report.html").read_text("utf-8"))
    assert "finetune: 90.0" in page.text and page.text.startswith("\nrunrun")
    assert "warning" not in capsys.readouterr().err


def test_without_the_extra_the_run_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").write_text("of an earlier run")
    monkeypatch.setattr(
        formats, "find_spec", lambda name: None if name == "matplotlib" else importlib.util.find_spec(name)
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

    monkeypatch.setattr(formats, "run", broken)
    found = save(tmp_path)
    assert "report.html could not be made: ZeroDivisionError" in capsys.readouterr().err
    assert json.loads((found / "results.json").read_text())["verdict"] == "pass"


def test_the_same_results_are_drawn_once_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Store(tmp_path / "store")
    written = api.write
    monkeypatch.setattr(api, "write", lambda outcome, folder: written(outcome, folder, store=kept))
    first = save(tmp_path / "one")
    monkeypatch.setattr(formats, "run", None)
    exported = save_moods(tmp_path / "two" / "exported")
    again = save_run(tmp_path / "two" / "a <b> & 'c'", exported)
    name = "a &lt;b&gt; &amp; &#x27;c&#x27;"
    assert (again / "report.html").read_text("utf-8").replace(name, "run", 2) == (first / "report.html").read_text(
        "utf-8"
    )
