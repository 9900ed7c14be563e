"""What a reader is shown of a history, from its JSON alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesft.gate.history import history
from edgesft.report import history as report
from edgesft.report.markdown import LIMIT
from tests.gate.checks import document, times, write


def told(tmp_path: Path, documents: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """The JSON form as another program reads it."""
    found = history([str(write(tmp_path, documents))], **settings).to_json()
    return dict(json.loads(json.dumps(found, allow_nan=False)))


def stepped(**changes: Any) -> list[dict[str, Any]]:
    values = times((5e6, 10), (6e6, 6))
    return [
        document(value, day=day, **({"runtime": "1.33.0", **changes} if day >= 10 else changes))
        for day, value in enumerate(values)
    ]


def test_a_step_in_a_line(tmp_path: Path) -> None:
    found = told(tmp_path, stepped(), figures=["p50"])
    (line,) = report.steps(found["series"][0])
    assert line.startswith("2025-03-11 04:05, commit 000000000000 -> 000000000000: 5.0")
    assert " ms, × 1.2" in line and line.endswith(", worse; onnxruntime 1.32.0 -> 1.33.0")
    text = report.render(found)
    assert "model.onnx, profile board, CPUExecutionProvider, 1 thread, a board, 4 cores, edgesft check" in text
    assert "p50, single-stream" in text and "onnxruntime 1.32.0 -> 1.33.0" in text


def test_without_commits_files_are_named(tmp_path: Path) -> None:
    found = told(tmp_path, stepped(commit=None), figures=["p50"])
    (line,) = report.steps(found["series"][0])
    assert line.startswith(f"2025-03-11 04:05, {tmp_path / '10.json'}: ")


def test_a_last_value_out_of_line(tmp_path: Path) -> None:
    values = [*times((5e6, 12)), 9e6]
    found = told(tmp_path, [document(value, day=day) for day, value in enumerate(values)], figures=["p50"])
    (line,) = report.steps(found["series"][0])
    assert line.startswith("last value is an outlier: 9 ms, the level is 5.0")
    assert "0 with steps" in report.summary(found)


def test_one_byte_more_is_seen_and_a_step_from_nothing_has_no_ratio(tmp_path: Path) -> None:
    documents = [document(off_provider=0), document(day=1, size=22_713_217, off_provider=2)]
    size, off = told(tmp_path, documents, figures=["size", "off_provider"])["series"]
    assert "22,713,216 bytes -> 22,713,217 bytes, × 1, worse" in report.steps(size)[0]
    assert ": 0 -> 2, worse" in report.steps(off)[0]


def test_fewer_correct(tmp_path: Path) -> None:
    documents = [document(day=day, metrics={"f1": {"value": 0.9 if day < 6 else 0.8}}) for day in range(12)]
    (series,) = told(tmp_path, documents, figures=["f1"])["series"]
    assert "0.9 -> 0.8, -0.1 (" in report.steps(series)[0] and ", worse" in report.steps(series)[0]


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([3.0, 3.0], "▄▄"),
        ([0.0, 0.0], "▄▄"),
        ([1.0, 1.5, 2.0], "▁▅█"),
        ([1.0, 1.0001], "▄▅"),
        ([*[1.0] * 64, *[2.0] * 64], "▁" * 16 + "█" * 16),
    ],
)
def test_trends(values: list[float], bars: str) -> None:
    assert report.trend({"points": [{"value": value} for value in values]}) == bars


def test_machines_that_the_words_do_not_tell_apart_have_tables_of_their_own(tmp_path: Path) -> None:
    machine = {"architecture": "x86_64", "system": "Linux", "model": "a chip", "cores": 2}
    documents = [document(machine={**machine, "instructions": flags}) for flags in (["avx2"], ["avx2", "fma"])]
    text = report.render(told(tmp_path, documents, figures=["p50"]))
    assert text.count("a chip, 2 cores") == 2 == text.count("p50, single-stream")


def test_markdown_takes_nothing_for_markup(tmp_path: Path) -> None:
    text = report.markdown(told(tmp_path, stepped(model="a|b<c>.onnx")))
    assert text.startswith("## 16 files, 3 series: 1 with steps, in 1 the newest level is worse\n")
    assert "### a\\|b&lt;c&gt;.onnx" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| p50")]
    assert row.count(" | ") == 4 and "| **2025-03-11" in row and "▁" in row
    assert next(line for line in text.splitlines() if line.startswith("| size")).endswith("| none |")


def test_long_markdown_keeps_what_stepped(tmp_path: Path) -> None:
    found = told(tmp_path, stepped())
    (p50,) = [series for series in found["series"] if series["steps"]]
    quiet = [series for series in found["series"] if not series["steps"]]
    many = {**found, "series": [*quiet * 600, p50]}
    text = report.markdown(many)
    assert len(text) <= LIMIT and "| p50" in text and "| size" not in text and "left out here for length" in text
    assert len(report.markdown({**found, "series": [p50] * 600})) <= LIMIT
