"""Results files become series, and series have steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.gate.history import Series, history
from edgesft.report import bench
from tests.gate.checks import document, times, write
from tests.measure.models import profile
from tests.report.measured import MACHINE, measurement
from tests.report.test_bench import row


def stepped(**changes: Any) -> list[dict[str, Any]]:
    """Twelve days at 5 ms and eight at 6 ms, with what else changes with the step."""
    told = times((5e6, 12), (6e6, 8))
    return [document(value, day=day, **(changes if day >= 12 else {})) for day, value in enumerate(told)]


def only(*words: object, figure: str = "p50", **settings: Any) -> Series:
    (series,) = history([str(word) for word in words], figures=[figure], **settings).series
    return series


def said(*words: object, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        history([str(word) for word in words], **settings)
    return str(caught.value)


def test_a_step_says_when_how_much_and_what_else_changed(tmp_path: Path) -> None:
    folder = write(tmp_path / "all", stepped(runtime="1.33.0", sha256="cd" * 32))
    series = only(folder)
    told = json.loads(json.dumps(series.to_json(), allow_nan=False))
    (step,) = told["steps"]
    assert (step["at"], step["worse"], told["worsened"], told["n"]) == (12, True, True, 20)
    assert step["change"]["lower"] < 1.2 < step["change"]["upper"] and step["change"]["value"] == pytest.approx(
        1.2, rel=0.02
    )
    assert step["until"]["created"] == "2025-03-12T04:05:00+00:00" and step["until"]["file"].endswith("11.json")
    assert step["since"]["commit"] == f"{12:040x}"
    assert step["causes"][1:] == ["model sha256 changed, abababababab -> cdcdcdcdcdcd", "onnxruntime 1.32.0 -> 1.33.0"]
    assert step["causes"][0].startswith("commit 0000")
    assert told["points"][0]["upper"] > told["points"][0]["value"] and len(told["points"]) == 20


def test_faster_is_better(tmp_path: Path) -> None:
    found = history(
        [str(write(tmp_path, [document(value, day=day) for day, value in enumerate(times((6e6, 9), (5e6, 9)))]))]
    )
    (series,) = [each for each in found.series if each.identity.figure == "p50"]
    assert len(series.found.steps) == 1 and not series.worsened and not found.worsened


def test_noise_and_a_small_step_are_none(tmp_path: Path) -> None:
    level = [document(value, day=day) for day, value in enumerate(times((5e6, 20)))]
    assert only(write(tmp_path / "level", level)).found.steps == ()
    large = write(tmp_path / "large", stepped())
    assert only(large).found.steps and not only(large, min_step=0.3).found.steps


def test_the_order_is_that_of_time_and_then_of_names(tmp_path: Path) -> None:
    days = [document(5e6 + day, day=(day * 7) % 20, commit=None) for day in range(20)]
    assert [point.record.file for point in only(write(tmp_path / "days", days)).points][:2] == [
        str(tmp_path / "days" / "0.json"),
        str(tmp_path / "days" / "3.json"),
    ]
    same = write(tmp_path / "same", [document(5e6 + day, commit=f"{day}") for day in range(12)])
    assert [point.value for point in only(same).points] == [5e6 + day for day in range(12)], "2.json before 10.json"
    zones = [document(1e6, created="2025-03-01T10:00:00+09:00"), document(2e6, created="2025-03-01T02:00:00Z")]
    assert [point.value for point in only(write(tmp_path / "zones", zones)).points] == [1e6, 2e6]


def test_copies_count_once(tmp_path: Path) -> None:
    documents = [document(5e6 + day, day=day) for day in range(3)]
    folder = write(tmp_path / "a", documents)
    write(tmp_path / "b", documents[:1])
    again = json.dumps(documents[1], indent=3)
    (tmp_path / "b" / "9.json").write_text(again)
    found = history([str(tmp_path), str(folder / "0.json"), str(folder)], figures=["p50"])
    assert [point.value for point in found.series[0].points] == [5e6, 5e6 + 1, 5e6 + 2]
    assert "copies of other files, which count once: 1" in found.notes[0]


def test_another_machine_is_another_series_and_another_runtime_is_not(tmp_path: Path) -> None:
    documents = [
        *(document(5e6, day=day) for day in range(2)),
        document(5e6, day=3, runtime="1.33.0", sha256="cd" * 32),
        document(5e6, day=4, machine={**MACHINE, "cores": 8}),
        document(5e6, day=5, threads=2),
        document(5e6, day=6, profile="other"),
        document(5e6, day=7, provider="XnnpackExecutionProvider"),
        document(5e6, day=8, model="other.onnx"),
        document(5e6, day=9, scenario="server"),
        document(5e6, day=10, io="device"),
        document(5e6, day=11, options={"mode": "burst"}),
    ]
    folder = write(tmp_path, documents)
    assert sorted(len(each.points) for each in history([str(folder)], figures=["p50"]).series) == [*[1] * 8, 3]
    sizes = history([str(folder)], figures=["size"]).series
    assert sorted(len(each.points) for each in sizes) == [1, 1, 1, 1, 1, 1, 5], "a scenario does not change a size"
    (burst,) = [each for each in history([str(folder)], figures=["p50"]).series if each.identity.options]
    assert burst.to_json()["options"] == ["mode=burst"]
    assert len(only(folder, model="other.onnx").points) == 1
    assert "'other.onnx'" in said(folder, model="othr.onnx")


def test_what_is_counted_steps_at_once(tmp_path: Path) -> None:
    documents = [document(day=0), document(day=1), document(day=2, size=22_713_217, off_provider=1)]
    documents[0]["figures"]["off_provider"] = documents[1]["figures"]["off_provider"] = 0
    folder = write(tmp_path, documents)
    (step,) = only(folder, figure="size").to_json()["steps"]
    assert (step["at"], step["before"], step["after"], step["worse"]) == (2, 22_713_216, 22_713_217, True)
    (step,) = only(folder, figure="off_provider").to_json()["steps"]
    assert step["change"]["value"] is None, "there is no ratio to 0"


def test_instructions_have_a_tolerance_and_one_counter(tmp_path: Path) -> None:
    counts = [(1_000_000, "valgrind"), (1_000_900, "valgrind"), (1_002_000, "valgrind"), (1_002_000, "perf")]
    documents = [document(day=day, instructions=count, counted=how) for day, (count, how) in enumerate(counts)]
    found = history([str(write(tmp_path, documents))], figures=["instructions"]).series
    assert [(len(each.points), [step.at for step in each.found.steps]) for each in found] == [(1, []), (3, [2])]


def test_fewer_correct_is_worse(tmp_path: Path) -> None:
    scores = [0.91] * 6 + [0.9] * 4
    documents = [document(day=day, metrics={"accuracy": {"value": score}}) for day, score in enumerate(scores)]
    folder = write(tmp_path, documents)
    series = only(folder, figure="accuracy")
    assert series.identity.figure == "metrics.accuracy" and series.worsened
    assert series.found.steps[0].change.value == pytest.approx(-0.01)
    assert only(folder, figure="metrics.accuracy").points == series.points


def test_figures_that_are_looked_at(tmp_path: Path) -> None:
    timing = {"value": 6_000_000, "n": 500}
    documents = [document(p95=timing, load=timing, peak_memory=70_000_000, metrics={"f1": {"value": 0.5}})]
    folder = write(tmp_path, documents)

    def figures(*asked: str) -> list[str]:
        return [each.identity.figure for each in history([str(folder)], figures=asked).series]

    assert figures() == ["p50", "peak_memory", "size", "parameters", "metrics.f1"]
    assert figures("all") == ["p50", "p95", "load", "peak_memory", "size", "parameters", "metrics.f1"]
    assert figures("load", "size") == ["load", "size"]
    text = said(folder, figures=["peak_memry", "macs", "size"])
    assert "must be a figure of the files, got 'peak_memry'" in text and "'peak_memory'" in text
    assert "must be one that a file has, got 'macs'" in text and "got 'size'" not in text


def test_a_bench_and_a_run_have_points_too(tmp_path: Path) -> None:
    found = bench.to_json([row(), row(name="n.onnx", measurement=None, problem="it broke")], profile())
    for number in range(3):
        found["rows"][0]["latency_ns"]["p50"] = 1_000_000 + number
        (tmp_path / f"{number}.json").write_text(json.dumps(found))
    words = [str(tmp_path / f"{number}.json") for number in (2, 0, 1)]
    read = history(words, figures=["all"])
    series = {each.identity.figure: each for each in read.series}
    assert {"p50", "p99", "load", "first_inference", "peak_memory", "size", "partitions", "off_provider"} <= {*series}
    assert [point.value for point in series["p50"].points] == [1_000_002, 1_000_000, 1_000_001], "as they were given"
    assert series["p50"].identity.how == "single-stream" and series["size"].found.level == 22_700_000
    assert any("in the order in which they were given" in note for note in read.notes)


def test_a_bench_tells_its_options_and_how_requests_came(tmp_path: Path) -> None:
    told = {"options": {"mode": "burst"}, "scenario": "multi-stream"}
    for number, streams in enumerate((2, 4)):
        measured = measurement(**told, detail={"streams": streams, "how": "run_async", "throughput": 1.0})
        (tmp_path / f"{number}.json").write_text(json.dumps(bench.to_json([row(measurement=measured)], profile())))
    series = history([str(tmp_path)], figures=["p50"]).series
    assert {each.identity.how for each in series} == {"multi-stream, 2 in flight", "multi-stream, 4 in flight"}
    assert {each.identity.options for each in series} == {("mode=burst",)}


def test_times_of_a_bench_that_lost_rows_are_no_figures(tmp_path: Path) -> None:
    found = bench.to_json([row()], profile())
    found["rows"][0]["measurement"]["lost"] = [0, 3]
    (tmp_path / "0.json").write_text(json.dumps(found))
    figures = {each.identity.figure for each in history([str(tmp_path)], figures=["all"]).series}
    assert {"load", "size"} <= figures and not figures & {"p50", "p90", "p95", "p99"}


def test_a_simulated_row_takes_nothing_from_the_others(tmp_path: Path) -> None:
    nothing = {"rounds": (), "loads_ns": (), "firsts_ns": (), "peak_memory_bytes": None, "baseline_memory_bytes": None}
    simulated = row(name="npu", measurement=measurement(simulated="a simulator", **nothing))
    (tmp_path / "0.json").write_text(json.dumps(bench.to_json([simulated, row()], profile())))
    series = history([str(tmp_path)], figures=["all"]).series
    figures = {
        name: {each.identity.figure for each in series if each.identity.model == name} for name in ("npu", "m.onnx")
    }
    assert {"size", "off_provider"} <= figures["npu"] and not figures["npu"] & {"p50", "load", "first_inference"}
    assert {"p50", "load", "first_inference"} <= figures["m.onnx"]


def run(size: int, **changes: Any) -> dict[str, Any]:
    """As much of a run's `results.json` as is read."""
    (told,) = bench.to_json([row()], profile())["rows"]
    stage = {"kept": True, "size_bytes": size, "levels": {"accuracy": {"value": 0.9, "lower": 0.8, "upper": None}}}
    stage |= {name: told[name] for name in ("latency_ns", "latency_bounds_ns", "measurement", "provider")}
    original = {**stage, "size_bytes": 99, "measurement": None, "latency_ns": None}
    environment = {**MACHINE, "versions": {"edgesft": "0.1.0", "onnxruntime": "1.32.0"}, "profile": {"threads": 1}}
    schema = {"schema": "edgesft/results", "schema_version": 1, "profile": "board", "model_sha256": "ab" * 32}
    stages = [original, stage, {**stage, "kept": False, "size_bytes": 1}]
    return {**schema, "stages": stages, "environment": environment, "recipe": {}, **changes}


def test_a_run_tells_of_its_final_model(tmp_path: Path) -> None:
    for name, size in (("run-9", 100), ("run-10", 90)):
        write(tmp_path / name, [run(size, recipe={"name": "moods"})])
    read = history([str(tmp_path)], figures=["all"])
    series = {each.identity.figure: each for each in read.series}
    assert [point.value for point in series["size"].points] == [100, 90]
    assert series["metrics.accuracy"].found.level == 0.9 and series["p50"].identity.model == "moods"
    assert "must have a stage that was kept" in said(write(tmp_path / "none", [run(1, stages=[])]))


def test_times_for_all_of_a_series_or_for_none(tmp_path: Path) -> None:
    told = [run(100, created="2025-03-01T00:00:00+00:00", recipe={"name": "moods"}), run(90, recipe={"name": "moods"})]
    assert f"created of '{tmp_path / '1.json'}' must be given" in said(write(tmp_path, told))
    lone = write(tmp_path / "lone", [{name: value for name, value in document().items() if name != "created"}])
    assert "'created' must be given" in said(lone) and "0.json" in said(lone)


@pytest.mark.parametrize("created", ["yesterday", "2025-13-01T00:00:00+00:00", "", 5])
def test_a_time_that_is_none(tmp_path: Path, created: object) -> None:
    text = said(write(tmp_path, [document(created=created)]))
    assert "created" in text and repr(created) in text and "0.json" in text


def test_other_files_of_a_folder_are_left_out_and_named_ones_are_not(tmp_path: Path) -> None:
    folder = write(tmp_path, [document()])
    (folder / "package.json").write_text('{"name": "x"}')
    (folder / "list.json").write_text("[1]")
    (folder / "with-comments.json").write_text("// none of ours\n{}")
    (folder / "notes.txt").write_text("no JSON")
    (folder / "compare.json").write_text('{"schema": "edgesft/compare", "schema_version": 1}')
    for word in (folder, folder / "*.json"):
        found = history([str(word)])
        assert found.files == 1
        assert "3 files without results" in found.notes[0] and "1 file that cannot be parsed" in found.notes[1]
    text = said(folder / "package.json", folder / "list.json", folder / "with-comments.json", folder / "compare.json")
    assert "got the schema None" in text and "got list" in text and "got the schema 'edgesft/compare'" in text
    assert "must be whole JSON, got Expecting value in line 1, column 1" in text


def test_damaged_files_are_told_all_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path, [document(), document(day=1), document(day=2)])
    whole = (folder / "0.json").read_text()
    (folder / "0.json").write_text(whole[: len(whole) // 2])
    (folder / "1.json").write_bytes(whole.encode()[:-10] + b"\xff}")
    (folder / "2.json").write_text(json.dumps({**document(), "schema_version": 2}))
    (folder / "3.json").write_text(json.dumps({**document(), "schema_version": "1"}))
    (folder / "4.json").write_text(json.dumps(document(p50=0)))
    broken = document()
    broken["figures"]["size"] = "large"
    del broken["key"]["machine"]
    (folder / "5.json").write_text(json.dumps(broken))
    text = said(folder)
    assert "0.json' must be whole JSON" in text and "line 1, column" in text
    assert "1.json' must be whole JSON, got byte 0xff" in text
    assert "2.json' must be at most 1 for this edgesft, got 2" in text and "pip install" in text
    assert "3.json' must be a whole number from 1 on, got '1'" in text
    assert "p50 of '" in text and "4.json' must be above 0, got 0" in text
    assert "5.json key: 'machine' must be given" in text


def test_nothing_to_read(tmp_path: Path) -> None:
    assert "history must find at least one results file, got none" in said(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    assert "at least one results file, got " in said(tmp_path) and "a.json" in said(tmp_path)
    text = said(tmp_path / "none.json", tmp_path / "no*.json", tmp_path / ("x" * 300))
    assert "none.json' must be a file, a folder or a pattern" in text and "must match at least one file" in text


def test_one_point_is_fine(tmp_path: Path) -> None:
    found = history([str(write(tmp_path, [document()]))])
    assert {each.identity.figure: each.found.level for each in found.series} == {
        "p50": pytest.approx(5e6),
        "size": 22_713_216,
        "parameters": 22_000,
    }
    assert any("too few to tell a step from noise" in note for note in found.notes)


def test_what_a_later_edgesft_tells_besides_is_no_problem(tmp_path: Path) -> None:
    told = document(later={"value": 1})
    told["key"]["more"] = told["key"]["machine"]["more"] = 1
    assert only(write(tmp_path, [told])).found.level == pytest.approx(5e6)


def test_unsteady_machines_and_the_future_are_told(tmp_path: Path) -> None:
    documents = [document(unsteady=["latency drifted"]), document(created="2999-01-01T00:00:00+00:00")]
    notes = " ".join(history([str(write(tmp_path, documents))]).notes)
    assert "1 file from an unsteady machine" in notes and "1 file with a time in the future" in notes
