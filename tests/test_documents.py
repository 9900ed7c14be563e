"""What a person holds in a notebook: results and documents as rich tables."""

from __future__ import annotations

from pathlib import Path

import edgesft
from edgesft.api import Document
from edgesft.measure.model.tiny import tiny_model
from edgesft.progress import Progress
from tests.report.html import made

QUIET = Progress(quiet=True)
HURRY = ("measure.samples=30", "measure.seconds=0.1", "measure.rounds=5", "measure.warmup_seconds=0.1")


def model(folder: Path, name: str = "model.onnx") -> Path:
    place = folder / name
    place.write_bytes(tiny_model())
    return place


def test_a_run_shows_its_tables() -> None:
    result = edgesft.Result({"x86-1-thread": edgesft.ProfileResult(Path(), made.results())})
    shown = result._repr_html_()
    assert shown.startswith("<pre") and "quantize" in shown and "max_drop.accuracy" in shown
    assert "<script" not in shown and "color: #" in shown


def test_a_bench_and_what_it_shows(tmp_path: Path) -> None:
    found = edgesft.bench(model(tmp_path), settings=[*HURRY, "budget.size_mb=1"], progress=QUIET)
    assert isinstance(found, Document) and found.verdict == "pass"
    assert found.found["rows"][0]["latency_ns"]["n"] >= 30
    assert "model" in found.table() and "<pre" in found._repr_html_()
    assert "<html" in found.page()


def test_a_check(tmp_path: Path) -> None:
    (tmp_path / "budget.yaml").write_text("version: 1\nprofile: ci\nsize_mb: 1\n")
    found = edgesft.check(model(tmp_path), tmp_path / "budget.yaml", progress=QUIET)
    assert found.verdict == "pass" and "size_mb" in found._repr_html_()
    tight = edgesft.check(
        tmp_path / "model.onnx", tmp_path / "budget.yaml", settings=["size_mb=0.00001"], progress=QUIET
    )
    assert tight.verdict == "fail"


def test_a_comparison(tmp_path: Path) -> None:
    pair = model(tmp_path), model(tmp_path, "other.onnx")
    question = {"seconds": 5.0, "figures": ("size",)}
    found = edgesft.compare(*pair, settings=["measure.warmup_seconds=0.1"], question=question, progress=QUIET)
    assert found.verdict in ("pass", "inconclusive") and "size" in found.table()


def test_all_that_is_offered_is_there() -> None:
    assert all(callable(getattr(edgesft, name)) for name in edgesft.__all__)
