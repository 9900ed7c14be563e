"""The table of a run, from its JSON alone."""

from __future__ import annotations

from typing import Any

from edgesft.report import single
from edgesft.report.table import render
from edgesft.report.units import count, megabytes, milliseconds


def stage(name: str, **changes: Any) -> dict[str, Any]:
    bounds = {"value": 0.01, "lower": -0.002, "upper": 0.021}
    return {
        "stage": name,
        "name": name,
        "kept": True,
        "reason": "latency 0.50 of before",
        "precision": "fp32",
        "size_bytes": 22_700_000,
        "parameters": 22_713_216,
        "levels": {"accuracy": {"value": 0.872, "lower": 0.85, "upper": 0.89}},
        "drops": {"accuracy": bounds},
        "provider": "CPUExecutionProvider",
        "latency_ns": {"n": 100, "p50": 1_234_567, "p90": 2_000_000, "p95": 3_000_000, "p99": None},
        "measurement": {
            "load_ns": 5e6,
            "first_ns": 6e6,
            "peak_memory_bytes": 7e7,
            "share": 0.97,
            "partitions": 3,
            "grade": "B",
        },
        **changes,
    }


def results(**changes: Any) -> dict[str, Any]:
    line = {"name": "latency_ratio.p50", "limit": 0.333, "value": 0.2, "lower": 0.19, "upper": 0.21, "verdict": "pass"}
    return {
        "verdict": "pass",
        "profile": "here",
        "split": "test",
        "budget": [line],
        "stages": [stage("finetune"), stage("prune", kept=False, reason="slower")],
        "warnings": ["3 rows are also in train"],
        **changes,
    }


def test_rows_budget_and_verdict() -> None:
    text = render(results())
    for words in (
        "22.7 MB",
        "22.7 M",
        "87.2 -1.0 (-2.1 to +0.2)",
        "1.23",
        "n too small",
        "100 B",
        "CPU 97 %, 3 part.",
        "no: slower",
    ):
        assert words in text, text
    assert "latency_ratio.p50" in text and "0.19 to 0.21" in text and "warning: 3 rows" in text
    assert text.rstrip().endswith("verdict: pass   profile: here")


def test_tuning_is_in_the_metric_s_own_unit() -> None:
    trial = {"settings": {"learning_rate": 1e-4}, "value": -4.321, "seconds": 60.0, "problem": ""}
    found = {"space": {"learning_rate": {}}, "trials": [trial], "chosen": 0, "reason": "the only one"}
    text = render(results(tuning={"metric": "neg_mcd", **found}))
    assert "neg_mcd dB" in text and "-4.32" in text and "-432" not in text


def test_an_inconclusive_line_says_why() -> None:
    line = {
        "name": "latency_ms.p95",
        "limit": 5.0,
        "value": 3.0,
        "lower": None,
        "upper": None,
        "verdict": "inconclusive",
    }
    text = render(results(budget=[{**line, "reason": "cores: the profile needs at least 4"}], verdict="inconclusive"))
    assert "inconclusive: cores: the profile needs at least 4" in text


def test_a_row_that_was_not_measured() -> None:
    assert "–" in render(results(stages=[stage("finetune", latency_ns=None, provider=None, measurement=None)]))


def test_latency_without_copies_says_so() -> None:
    measured = stage("finetune")["measurement"]
    assert "latency in ms" in render(results(stages=[stage("finetune")]))
    without = stage("finetune", measurement={**measured, "io": "device"})
    assert "latency without copies in ms" in render(results(stages=[without]))


def test_units() -> None:
    assert [milliseconds(ns) for ns in (None, 69_000, 1_234_567, 123_456_789)] == ["–", "0.069", "1.23", "123"]
    assert megabytes(22_700_000) == "22.7 MB" and count(999) == "999" and count(22_713_216) == "22.7 M"


def test_what_a_training_showed_is_told_with_what_to_change() -> None:
    found = {
        "name": "leak",
        "message": "20 rows are also in train",
        "hint": "take them out",
        "rows": [["train", 7]] * 9,
    }
    told = render(results(stages=[stage("tune", details={"diagnosis": [found]})]))
    assert "tune: leak: 20 rows are also in train (train 7, " in told
    assert told.count("train 7") == 5 and "    Try: take them out" in told


def test_what_was_not_steady_is_said_as_the_page_says_it() -> None:
    shaken = stage("prune")
    shaken["measurement"]["unsteady"] = ["latency wandered slowly"]
    found = results(stages=[stage("finetune"), shaken])
    assert "warning: prune: latency wandered slowly" in render(found)
    assert "- prune: latency wandered slowly" in single.markdown("demo", found)
