"""What a gate found as tables, and that every format is there."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from edgesft.report.gate import FORMATS, render, tables
from edgesft.report.lines import figure, figures, path, sentence, tally
from edgesft.report.table import WIDTH
from tests.report.gates import check, compare, line, unlimited


def test_lines_notes_and_verdict() -> None:
    text = render(check(), "table")
    rows = {
        row.split("│")[1].strip(): [cell.strip() for cell in row.split("│")[2:-1]]
        for row in text.splitlines()
        if "│" in row
    }
    assert text.startswith("edgesft check of model.onnx, profile small-board\n")
    assert rows["latency_ms.p95"] == ["5", "3.5", "3.25 to 3.75", "pass"]
    assert rows["latency_ms.p99"][2:] == ["5.9 or more", "inconclusive: n=100 is too small to bound p99"]
    assert rows["nodes"] == ["10", "–", "–", "inconclusive: it was not counted"]
    assert rows["parameters"] == ["25,000,000", "22,713,216", "–", "pass"]
    assert rows["max_growth.size"][3] == "pass, accepted: the new head, until 2030-03-01"
    assert "\n  measured here on a board, 4 cores\n" in text
    assert text.endswith("verdict: fail   6 lines: 1 failed, 2 inconclusive, 1 accepted, 2 passed\n")


def test_a_comparison_says_what_changed_and_what_is_only_shown() -> None:
    text = render(compare(), "table")
    assert text.startswith("edgesft compare of new.onnx against old.onnx")
    said = [row.split("│")[-2].strip() for row in text.splitlines() if row.startswith("│")]
    assert said == ["fail, slower", "fail, slower, only shown", "pass, smaller, only shown"]
    assert text.endswith("verdict: fail   3 lines: 1 failed, 2 only shown\n")


def test_names_are_no_markup_and_reasons_no_escape_codes() -> None:
    text = render(check(line("min_metric.[red]x[/]", "fail", reason="\x1b[31mred"), name="[bold]m"), "table")
    assert (
        "of [bold]m" in text and "min_metric.[red]x[/]" in text and "fail: \ufffd[31mred" in text and "\x1b" not in text
    )


def test_colours_follow_the_state() -> None:
    console = Console(width=WIDTH, color_system="standard", force_terminal=True)
    with console.capture() as capture:
        console.print(tables(check()))
    text = capture.get()
    assert "\x1b[31mfail" in text and "\x1b[36mpass, accepted" in text and "\x1b[1;31mfail" in text


def test_a_budget_that_limits_nothing() -> None:
    assert render(unlimited(), "table").endswith("verdict: pass   no lines: no limit was set\n")


def test_json_is_the_document() -> None:
    assert json.loads(render(check(), "json")) == check()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("document", [check(), compare(), unlimited()], ids=["check", "compare", "nothing"])
def test_every_format_takes_every_document(form: str, document: dict) -> None:
    text = render(document, form)
    assert isinstance(text, str) and (text.endswith("\n") or (form == "github" and not document["lines"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (12, "12"),
        (22_713_216, "22,713,216"),
        (3.14159, "3.142"),
        (0.5, "0.5"),
        (-0.01903, "-0.01903"),
        (12345.6, "12,346"),
        (1.5e-7, "1.5e-07"),
        (float("inf"), "inf"),
        (1e300, "1e+300"),
    ],
)
def test_figure(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_a_figure_never_looks_like_the_limit_it_exceeds() -> None:
    close = line("size_mb", "fail", value=10.00004, limit=10).to_json()
    assert figures(close) == ("10", "10.00004", "–")
    large = line("instructions", "fail", value=123_456_789, limit=123_456_700).to_json()
    assert figures(large)[:2] == ("123,456,700", "123,456,789")


def test_sentences() -> None:
    assert sentence(line("size_mb", "fail").to_json()) == "size_mb: got 12, the limit is 10"
    unknown = line("nodes", "inconclusive", value=None, reason="not counted").to_json()
    assert sentence(unknown) == "nodes: got no value, the limit is 10; not counted"
    timed = sentence(line("latency_ms.p50", "pass", accepted="known").to_json())
    assert timed == "latency_ms.p50: got 6 (5.9 to 6.1), the limit is 10; accepted: known"
    assert tally(check(line("nodes"))) == "1 line: 1 passed"


def test_files_as_seen_from_the_repository(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "repository" / "part"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert (
        path("a/b.yaml") == "a/b.yaml" and path("a\\b.yaml") == "a/b.yaml" and path(str(inner / "b.yaml")) == "b.yaml"
    )
    monkeypatch.setenv("GITHUB_WORKSPACE", str(inner.parent))
    assert path("b.yaml") == "part/b.yaml" and path("../b.yaml") == "b.yaml"
    assert path("../../b.yaml") == "../../b.yaml" and path(str(tmp_path / "b.yaml")) == str(tmp_path / "b.yaml")
