from __future__ import annotations

import re
from typing import Any

import pytest

from edgesft.report.html.bars import bars, title, told
from tests.report.gates import LINES
from tests.report.html.reading import Page


def line(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "limit": 5.0, "value": 4.0, "lower": None, "upper": None, "verdict": "pass", **changes}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("latency_ms.p95", "p95 latency"),
        ("latency_ratio.p50", "p50 latency, of the original's"),
        ("size_mb", "size"),
        ("max_drop.f1_macro", "loss of f1 macro"),
        ("min_metric.accuracy", "least accuracy"),
        ("something_new", "something new"),
    ],
)
def test_names_in_words(name: str, words: str) -> None:
    assert title(line(name)) == words


def test_units_that_people_think_in() -> None:
    assert told(line("max_drop.accuracy", limit=0.01, value=0.002)) == ("1", "0.2", "–", "points")
    assert told(line("latency_ms.p95"))[3] == "ms"


def places(text: str, name: str) -> list[float]:
    found = re.search(rf'class="{name}" style="left:([\d.]+)%(?:;width:([\d.]+)%)?"', text)
    assert found, text
    return [float(each) for each in found.groups() if each]


def test_the_bar_ends_before_a_limit_that_holds_and_behind_one_that_does_not() -> None:
    holds, fails = str(bars([line("size_mb")])), str(bars([line("size_mb", value=9.0, verdict="fail")]))
    (start, width), (limit,) = places(holds, "fill"), places(holds, "limit")
    assert start == 0 and width < limit
    (_, width), (limit,) = places(fails, "fill"), places(fails, "limit")
    assert width > limit and "✗ fail" in fails


def test_a_drop_below_nothing_grows_to_the_left() -> None:
    text = str(bars([line("max_drop.accuracy", limit=0.01, value=-0.006, lower=-0.018, upper=0.007)]))
    (zero,), (start, width), (low, span) = places(text, "zero"), places(text, "fill"), places(text, "span")
    assert start + width == pytest.approx(zero, abs=0.02) and low < start and low + span > zero


@pytest.mark.parametrize(
    "changes", [{"value": None, "verdict": "inconclusive"}, {"limit": 0.0, "value": 0.0}, {"limit": 0.0, "value": 3.0}]
)
def test_lines_without_a_value_or_a_limit(changes: dict[str, Any]) -> None:
    assert "limit" in bars([line("operators", **changes)])


def test_a_lower_limit_says_so_and_a_reason_is_told() -> None:
    text = bars([line("min_metric.accuracy", reason="<b>too few</b>", verdict="inconclusive")])
    assert "limit ≥ 500 %" in text and "&lt;b&gt;too few" in text


def test_lines_of_a_gate_with_what_is_accepted() -> None:
    page = Page(str(bars([each.to_json() for each in LINES])))
    assert not page.wrong and "accepted" in page.text and "the new head, until 2030-03-01" in page.text
    assert len(page.all("tr")) == len(LINES) + 1


def test_agreement_is_a_least_one() -> None:
    drawn = bars([line("agreement", limit=0.9, value=1.0)])
    assert "same answers as fp32 on a CPU" in drawn and "≥ 90" in drawn
