"""Pages of a bench, a check, a comparison, a history and of several runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesft.budget import verdict
from edgesft.gate.history import history
from edgesft.report.html.render import compared, render
from tests.gate.checks import document, times, write
from tests.report import gates
from tests.report.html import made
from tests.report.html.reading import Page, read
from tests.report.html.test_run import EVIL
from tests.report.measured import measurement
from tests.report.test_bench import explained, found, row

QNN = "QNNExecutionProvider"


def page(document: dict[str, Any], name: str = "a file") -> Page:
    return read(render(document, name))


def test_a_bench_of_models_on_providers() -> None:
    split = measurement(placement={QNN: 40, "CPUExecutionProvider": 2}, partitions=3, left={"Softmax": 2}, provider=QNN)
    lines = (verdict.exact("size_mb", 10, 22.7), verdict.unknown("latency_ms.p95", 5, "nothing was measured"))
    told = page(
        found(
            row(name="m.onnx CPU", explanation=explained()),
            row(
                name="m.onnx QNN", provider=QNN, measurement=split, time_shares={QNN: 0.9, "CPUExecutionProvider": 0.1}
            ),
            row(name=f"{EVIL} QNN", provider=QNN, measurement=None, problem=f"{EVIL} is not here", lines=lines),
        )
    ).text
    for words in (
        "40 of 42 nodes in 3 partitions",
        "Softmax × 2",
        "QNN: not measured",
        "is not here",
        "by operator",
        "QNNExecutionProvider 90.0 %",
    ):
        assert words in told, words
    assert "1 of 2 lines fails" in told and "Round by round" in told


def test_latency_without_copies_says_so() -> None:
    words = "no copy to or from it is in the latency"
    assert words in page(found(row(measurement=measurement(io="device")))).text
    assert words not in page(found(row())).text


def test_a_simulator_has_no_latency() -> None:
    told = measurement(rounds=(), loads_ns=(), firsts_ns=(), simulated="a simulator of the accelerator")
    assert "Nodes by provider" in page(found(row(measurement=told))).text


def test_a_check() -> None:
    told = page(gates.check(name=EVIL)).text
    assert "1 failed" in told and "measured here on a board, 4 cores" in told and EVIL in told


def test_a_comparison_with_its_blocks() -> None:
    blocks = [
        {
            side: {"rounds_ns": [list(each) for each in made.rounds(median, seed)[:5]]}
            for side, median in (("candidate", 1_050_000), ("baseline", 1_000_000))
        }
        for seed in range(4)
    ]
    told = page({**gates.compare(), "blocks": blocks, "bar": 1.025}).text
    assert "new.onnx against old.onnx" in told and "Ratio by block" in told and "fail, slower" in told


def test_a_comparison_without_them() -> None:
    assert "Ratio by block" not in page(gates.compare()).text


def test_a_history(tmp_path: Path) -> None:
    documents = [document(value, day=day) for day, value in enumerate(times((5e6, 10), (6e6, 6)))]
    told = page(json.loads(json.dumps(history([str(write(tmp_path, documents))]).to_json()))).text
    assert "✗ Fail" in told and "worse" in told and "p50, ms: model.onnx" in told


def test_a_history_of_one_point(tmp_path: Path) -> None:
    page(json.loads(json.dumps(history([str(write(tmp_path, [document()]))]).to_json())))


def test_runs_beside_each_other() -> None:
    slow = made.results(stages=[made.stage(0)], verdict="pass", budget=[])
    told = read(compared([("fast", made.results()), (EVIL, slow), ("old", made.old())])).text
    for words in ("fast ★", "2 of 3 fail, 1 of 3 pass.", "accuracy against latency", "✗ 19.1 of 15", EVIL):
        assert words in told, words
    assert "different machines" not in told


def test_runs_of_different_machines_metrics_and_profiles() -> None:
    other = made.results(profile="phone")
    other["environment"]["model"] = "a phone"
    third = json.loads(json.dumps(made.results()).replace('"accuracy"', '"f1"'))
    told = read(compared([("one", made.results()), ("two", other), ("three", third)])).text
    assert "different machines (a board, a phone)" in told and "accuracy against latency" in told


@pytest.mark.parametrize("count", [1, 20])
def test_one_run_and_twenty(count: int) -> None:
    text = compared([(f"run {place}", made.results()) for place in range(count)])
    read(text)
    assert len(text) < 400_000


def test_two_runs_against_each_other_and_their_recipes() -> None:
    other = made.results(stages=[made.stage(0)])
    other["recipe"] |= {"seed": 7, "stages": [{"stage": "finetune", "epochs": 3, EVIL: [1]}]}
    told = read(compared([("first", made.results()), ("second", other)])).text
    for words in (
        "5.58 ×",
        "second against first: 91.6 MB against 19.1 MB",
        "-0.6 points",
        "Differences between the recipes",
    ):
        assert words in told, words
    assert "stages.finetune.epochs3" not in told and "stages.finetune.epochs–3" in told and "seed07" in told


def test_latency_by_length() -> None:
    lengths = tuple(10 + place % 60 for place in range(1000))
    told = page(found(row(measurement=measurement(lengths=lengths, axis="sequence")))).text
    assert "By length" in told and "sequence of the request" in told
