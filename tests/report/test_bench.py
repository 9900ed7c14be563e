"""What a reader is shown of a bench, from its JSON alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgesft.budget import verdict
from edgesft.budget.percentile import Interval
from edgesft.measure.bench.row import Row
from edgesft.measure.explain.explain import explain
from edgesft.measure.explain.roof import Roof
from edgesft.measure.model.file import ModelFile
from edgesft.measure.parity import Parity, compare
from edgesft.report.bench import tables, to_json
from edgesft.spec.profile import MeasureSpec
from tests.measure.models import profile
from tests.report.measured import measurement

CPU = "CPUExecutionProvider"
FILE = ModelFile(Path("m.onnx"), "onnx", (Path("m.onnx"),), 22_700_000, "0", precision="int8-static")


def row(**changes: Any) -> Row:
    return Row(**{"name": "m.onnx", "file": FILE, "provider": CPU, "measurement": measurement(), **changes})


def found(*rows: Row, **settings: Any) -> dict[str, Any]:
    """The JSON form as another program reads it."""
    told = to_json(rows, profile(measure=MeasureSpec(**settings)))
    return dict(json.loads(json.dumps(told, allow_nan=False)))


def shown(*rows: Row, width: int = 240, **settings: Any) -> str:
    return shown_of(found(*rows, **settings), width)


def shown_of(told: dict[str, Any], width: int = 240) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(tables(told))
    return capture.get()


def parity(*outputs: np.ndarray) -> Parity:
    """Of an output that is ones."""
    return compare([{"y": np.ones((2, 3), np.float32)}] * len(outputs), [{"y": each} for each in outputs], "fp32")


def test_the_json_has_it_all() -> None:
    told = found(row())
    assert (told["schema"], told["schema_version"], told["verdict"]) == ("edgesft/bench", 1, "pass")
    (one,) = told["rows"]
    assert one["latency_ns"]["n"] == 1000 and len(one["measurement"]["rounds_ns"]) == 10
    assert one["model"]["sha256"] == "0" and told["profile"]["measure"]["scenario"] == "single-stream"


def test_the_row_and_what_makes_it_believable() -> None:
    text = shown(row(parity=parity(np.ones((2, 3), np.float32)), reference="itself, unoptimised on the CPU"))
    for fact in (
        "m.onnx",
        "int8-static",
        "22.7 MB",
        "CPU 100 %, 1 part.",
        "1.05",
        "1000 A",
        "70.0 MB",
        "0, top-1 100.0 %",
    ):
        assert fact in text
    assert "inputs rows.npz, 8 requests, 8 distinct; a board, 4 cores; 1.32.0 (71.5 MB)" in text
    assert "parity with itself, unoptimised on the CPU: holds at a tolerance of 0.001" in text


def test_threads_and_scenario_head_the_table() -> None:
    assert shown(row(), scenario="paced").startswith("paced, 1 thread: latency in ms")


def test_a_row_that_was_not_measured_has_its_reason() -> None:
    text = shown(row(), row(name="m.onnx CUDA", provider="CUDAExecutionProvider", measurement=None, problem="no GPU"))
    assert "m.onnx CUDA: no GPU" in text and text.count("–") >= 9


def test_names_are_no_markup() -> None:
    odd = row(
        name="[red]m.onnx",
        measurement=measurement(axis="[bold]n", lengths=(5,) * 1000),
        lines=(verdict.exact("size_mb", 1, 22.7),),
        explanation=explained(name="[blink]conv"),
    )
    text = shown(odd)
    assert "latency of [red]m.onnx in ms by [bold]n" in text and "budget of [red]m.onnx" in text
    assert "time of [red]m.onnx by operator" in text and "[blink]conv" in text


@pytest.mark.parametrize(
    ("outputs", "phrase", "column"),
    [
        ([np.full((2, 3), 1.5, np.float32)], "output 'y': off by 0.5", "0.5"),
        ([np.ones((2, 4), np.float32)], "output 'y': shape must be [2, 3], got [2, 4]", "differs"),
        ([np.array([[1, np.nan, np.inf], [1, 1, 1]], np.float32)], "output 'y': 2 values are not finite", "differs"),
    ],
)
def test_parity_that_does_not_hold_says_where(outputs: list[np.ndarray], phrase: str, column: str) -> None:
    text = shown(row(parity=parity(*outputs), reference="fp32.onnx, unoptimised on the CPU"))
    assert f"parity with fp32.onnx, unoptimised on the CPU: does not hold ({phrase})" in text and column in text


def test_a_reference_that_is_not_finite_is_told() -> None:
    odd = compare([{"y": np.array([[np.inf, 1]])}], [{"y": np.array([[2.0, 1]])}], "fp32")
    assert "output 'y': values are finite where the reference's are not" in shown(row(parity=odd, reference="r"))


def test_why_nothing_was_compared() -> None:
    assert "parity: raw rows are not compared" in shown(row(reference="raw rows are not compared"))


def test_lines_and_the_worst_verdict() -> None:
    late = verdict.at_most("latency_ms.p95", 5, Interval(5.1, 4.9, 5.3))
    text = shown(row(lines=(verdict.exact("size_mb", 25, 22.7),)), row(name="n.onnx", lines=(late,)))
    assert "budget of m.onnx" in text and "budget of n.onnx" in text
    assert "inconclusive: the limit lies between the bounds" in text and "verdict: inconclusive" in text
    failed = found(row(lines=(late, verdict.exact("size_mb", 1, 22.7))))
    assert failed["verdict"] == "fail"


def test_parity_alone_is_no_budget_until_it_fails() -> None:
    assert "budget" not in shown(row(lines=(verdict.exact("parity", 1e-3, 1e-6),)))
    text = shown(row(lines=(verdict.exact("parity", 1e-3, 0.5),)))
    assert "budget of m.onnx" in text and "verdict: fail" in text


def test_bounds_are_told_with_their_confidence() -> None:
    from edgesft.budget.rounds import interval

    assert "one-sided 95 % bounds: p50 " in shown(row())
    looked = row(confidence=0.975)
    assert "one-sided bounds, 97.5 % each (95 % over all looks): p50 " in shown(looked)
    (told,) = found(looked)["rows"]
    assert told["confidence"] == 0.975
    assert tuple(told["latency_bounds_ns"]["p95"]) == interval(measurement().rounds, 95, 0.975)[1:]
    del told["confidence"]
    assert "one-sided 95 % bounds" in shown_of({**found(looked), "rows": [told]}), "of a file that lacks it"


def test_bounds_count_rows_without_an_answer() -> None:
    text = shown(row(measurement=measurement(lost=(10,) * 10)))
    assert "p50 1.0" in text and "p99 no answer" in text


PIPELINE = {
    **{"sessions": 2, "queue": 4, "interval_ns": None, "deadline_ns": None, "speed_up": 1.53},
    **{"rows": 1000, "answered": 1000, "dropped": 0, "late": 0, "overdue": 0},
    **{"throughput": 61.25, "loop_throughput": 40.0, "loop_p50_ns": 25_000_000},
}

DETAILS = {
    "paced": (
        {"interval_ns": 33_000_000, "deadline_ns": 20_000_000, "missed": 5, "requests": 1000, "service_p50_ns": 1},
        "a request every 33 ms: 5 of 1000 (0.5 %) took longer than 20 ms",
    ),
    "offline": (
        {"streams": 4, "how": "run_async", "throughput": 1234.5, "throughputs": []},
        "1234 requests per second, 4 in flight over run_async",
    ),
    "sustained": ({"minutes": [{"p50_ns": 1_000_000}, {"p50_ns": 2_500_000}]}, "p50 of each minute: 1 2.5 ms"),
    "end-to-end": (
        {"spans": {name: {"p50_ns": 2_000_000, "share": 0.25} for name in ("before", "inference", "after")}},
        "before p50 2 ms (25.0 %), inference p50 2 ms (25.0 %), after p50 2 ms (25.0 %)",
    ),
    "pipeline": (
        {"pipeline": PIPELINE},
        "pipeline of 2 sessions, queue of 4, at full speed: 61.25 rows per second; a plain loop 40 (p50 25 ms): "
        "1.53 times as many",
    ),
    "pipeline at a rate": (
        {"pipeline": {**PIPELINE, "sessions": 1, "interval_ns": 20_000_000, "speed_up": None}},
        "pipeline of 1 session, queue of 4, a row every 20 ms: 61.25 rows per second; a plain loop 40 (p50 25 ms)",
    ),
    "cold": ({"evicted": [True, True]}, "in a fresh process, the files read from the disk"),
    "warm": ({"evicted": [True, False]}, "the files from the system's cache, which cannot be emptied"),
}


@pytest.mark.parametrize("case", DETAILS)
def test_each_scenario_tells_its_own(case: str) -> None:
    detail, phrase = DETAILS[case]
    assert phrase in shown(row(measurement=measurement(detail=detail)))


def test_rows_of_a_pipeline_that_got_no_answer_are_told() -> None:
    dropping = {**PIPELINE, "interval_ns": 20_000_000, "answered": 980, "dropped": 20, "speed_up": None}
    late = {**PIPELINE, "deadline_ns": 50_000_000, "answered": 997, "late": 3, "overdue": 5}
    for told, ends, share in (
        (dropping, "1000 rows: 980 answered, 20 dropped from the full queue", "2.0 %"),
        (late, "1000 rows: 997 answered, 3 given up after 50 ms, 5 of the answers later than that", "0.3 %"),
    ):
        text = shown(row(measurement=measurement(detail={"pipeline": told})))
        assert ends in text and f"{share} of the rows got no answer: the latencies above are those of the " in text
    text = shown(row(measurement=measurement(detail={"pipeline": PIPELINE})))
    assert "no answer" not in text and "1000 rows" not in text


def test_where_no_row_got_an_answer_there_is_no_latency() -> None:
    none = measurement(rounds=((), ()), lost=(5, 5), detail={"pipeline": {**PIPELINE, "answered": 0, "late": 1000}})
    told = found(row(measurement=none))
    assert told["rows"][0]["latency_ns"]["n"] == 0 and told["rows"][0]["measurement"]["lost"] == [5, 5]
    assert "100.0 % of the rows got no answer" in shown(row(measurement=none))


def test_what_else_a_reader_must_know() -> None:
    odd = measurement(
        provider="QNNExecutionProvider",
        placement={"QNNExecutionProvider": 3, CPU: 1},
        partitions=2,
        left={"Cast": 1, "TopK": 4},
        states={"h": "hn"},
        energy_uj=1500,
        rounds=tuple((1_000_000 + 100_000 * number,) * 20 for number in range(20)),
    )
    text = shown(row(provider="QNNExecutionProvider", measurement=odd, time_shares={"QNN": 0.9, "CPU": 0.1}))
    assert "QNN 75 %, 2 part." in text and "not on the provider: TopK × 4, Cast × 1" in text
    assert "state fed back: h ← hn" in text and "share of time: QNN 90.0 %, CPU 10.0 %" in text
    assert "energy: 1.5 mJ per inference" in text and "in doubt: latency drifted" in text and " C " in text


def test_a_percentile_without_enough_samples_says_so() -> None:
    assert "n too small" in shown(row(measurement=measurement(rounds=((1, 2), (1, 2)))))


def explained(name: str = "conv0") -> Any:
    node = {
        "name": name,
        "op": "Conv",
        "provider": CPU,
        "calls": 2,
        "ns": 2_000_000,
        "inputs": [["float", [1, 3, 8, 8]], ["float", [16, 3, 3, 3]]],
        "outputs": [["float", [1, 16, 6, 6]]],
    }
    roof = Roof(**{**dict.fromkeys(Roof.__dataclass_fields__), "fp32_macs_per_second": 1e11, "bytes_per_second": 1e10})
    return explain({"run_ns": [1_100_000, 1_100_000], "nodes": [node]}, roof, 1_050_000)


def test_the_explanation_shows_operators_layers_and_roof() -> None:
    text = shown(row(explanation=explained()))
    assert "time of m.onnx by operator" in text and "longest layers" in text and "conv0" in text
    assert "15.6 k" in text, "products of the convolution: 16 * 3 * 3 * 3 * 6 * 6"
    assert "roof, measured in this run: fp32 100 GMAC/s, copy 10 GB/s; the model takes" in text and "try: " in text
