"""Runs beside each other, and one by itself, in the forms that are no pages."""

from __future__ import annotations

from edgesft.report import runs, single
from edgesft.report.stages import final
from tests.report.html import made
from tests.report.test_bench import found, row


def beside() -> dict:
    slow = made.results(stages=[made.stage(0)], verdict="pass", budget=[])
    return runs.document([("fast|er", made.results()), ("slow", slow), ("old", made.old())])


def test_figures_are_of_what_ships() -> None:
    fast, slow, _ = beside()["runs"]
    assert fast["stages"] == ["finetune", "prune", "quantize"] and fast["precision"] == "int8-dynamic"
    assert fast["size_bytes"] == 19_100_000 and fast["original_size_bytes"] == 91_600_000
    assert fast["original_p50_ns"] == slow["p50_ns"] == slow["original_p50_ns"]


def test_the_worst_verdict_and_the_front() -> None:
    told = beside()
    assert told["verdict"] == "fail" and (told["schema"], told["schema_version"]) == ("edgesft/runs", 1)
    assert [row["front"] for row in told["runs"]] == [True, False, True]


def test_runs_on_other_profiles_have_a_front_of_their_own() -> None:
    slow = made.results(stages=[made.stage(0)], profile="phone")
    assert all(row["front"] for row in runs.document([("a", made.results()), ("b", slow)])["runs"])


def test_a_run_that_was_not_measured_is_on_no_front() -> None:
    stage = made.stage(0) | {"latency_ns": None, "measurement": None}
    (row,) = runs.document([("a", made.results(stages=[stage]))])["runs"]
    assert row["p50_ns"] is None and not row["front"]
    assert "–" in runs.render(runs.document([("a", made.results(stages=[stage]))]))


def test_nothing_was_kept() -> None:
    stages = [made.stage(place) | {"kept": False} for place in range(2)]
    assert final(made.results(stages=stages))["name"] == "prune"


def test_as_a_table_and_as_markdown() -> None:
    table, text = runs.render(beside()), runs.markdown(beside())
    assert "fast|er ★" in table and "fail: latency_ms.p95, size_mb" in table
    assert "| fast\\|er ★ |" in text and "| pass |" in text


def test_values_are_in_the_metric_s_own_unit() -> None:
    told = runs.document([("share", made.results()), ("voice", made.decibels())])
    for text in (runs.render(told), runs.markdown(told)):
        assert "12.34 dB" in text and "69.2 %" in text
    text = single.markdown("voice", made.decibels())
    assert "| si_sdr dB |" in text and "| 12.34 |" in text and "%" not in text


def test_one_run_as_markdown() -> None:
    text = single.markdown("a|b", made.results())
    assert text.startswith("## ❌ a\\|b: fail on x86-1-thread")
    assert "| size_mb | 15 | 19.1 |" in text
    assert "no: accuracy -0.9 points" in text and "- 3 rows are also in train" in text
    assert "0.445" in single.markdown("old", made.old())


def test_a_bench_as_markdown() -> None:
    text = single.bench_markdown("bench", found(row(), row(name="lost", measurement=None, problem="it crashed")))
    assert text.startswith("## ✅ bench: pass") and "| m.onnx | CPU | 22.7 MB | 1.05 |" in text and "it crashed" in text
