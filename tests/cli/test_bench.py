"""`edgesft bench` as a person calls it: real runtime, tiny models, and nothing left behind whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgesft.cli.main import main
from edgesft.report import bench as report
from tests.measure import models
from tests.measure.interpreters import DIE, HANG, STEADY, first, save_interpreter

FAST = (
    *("measure.seconds=0.05", "measure.samples=30", "measure.rounds=5", "measure.warmup_seconds=0.1"),
    *("measure.max_seconds=2", "--quiet"),
)

PIPELINE = """
import time
import numpy as np
class Pipeline:
    def __init__(self, folder, options):
        self.gain = float(options.get("gain", 1))
    def before(self, row):
        return {"x": np.asarray([row["x"]], np.float32) * self.gain}
    def after(self, outputs):
        return float(outputs["y"].sum())
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, and shell scripts as interpreters")


def agents(host: int) -> list[int]:
    """Measuring processes that this one, or one that it started, has running."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"EDGESFT_HOST={host}".encode() in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours:
            found.append(int(folder.name))
    return found


@pytest.fixture(autouse=True)
def tidy(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test may leave a process or a file behind, the runtime's own included."""
    folder = tmp_path_factory.mktemp("temp")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder))
    for name in ("CI", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    yield
    assert agents(os.getpid()) == [] and list(folder.rglob("*")) == []


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of models and of what is fed to them; read only."""
    folder = tmp_path_factory.mktemp("zoo")
    models.save_product(folder / "m.onnx")
    models.save_product(folder / "outside.onnx", outside="outside.bin")
    models.save_classifier(folder / "ids.onnx")
    models.save_streaming(folder / "stream.onnx")
    models.save_streaming(folder / "plain.onnx", state="a", new="b")
    models.save_image(folder / "image.onnx")
    models.save_ort(folder / "m.ort", folder / "m.onnx")
    models.save_endless(folder / "endless.onnx")
    models.save_node(folder / "noise.onnx", "RandomUniformLike")
    models.save_node(folder / "custom.onnx", "Nope", domain="mine")
    models.save_node(folder / "unknown.onnx", "Nope")
    models.save_node(folder / "later.onnx", "Relu", opset=99)
    (folder / "page.onnx").write_text("<html>404")
    (folder / "empty.onnx").touch()
    (folder / "lone").mkdir()
    (folder / "lone" / "m.onnx").write_bytes((folder / "outside.onnx").read_bytes())
    ones = np.ones((20, 4), np.float32)
    np.savez(folder / "m.npz", x=ones)
    np.savez(folder / "wide.npz", x=np.ones((20, 5)), z=ones)
    np.savez(folder / "floats.npz", ids=np.full((20, 4), 0.5))
    np.savez(folder / "ragged.npz", **{f"{i}/ids": np.ones((1, 1 + i), np.int64) for i in range(30)})
    np.savez(folder / "beyond.npz", ids=np.full((20, 4), 99))
    rows = [{"x": [index, 1, 2, 3]} for index in range(5)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "odd.jsonl").write_text('{"x": [1, 2, 3, 4]}\n{"y": 1}\n')
    (folder / "steps.py").write_text(PIPELINE)
    (folder / "slow.py").write_text(PIPELINE.replace("(self, row):\n", "(self, row):\n        time.sleep(0.005)\n"))
    (folder / "stateful.py").write_text(PIPELINE.replace('{"x": ', '{"h": np.zeros((1, 4), np.float32), "x": '))
    (folder / "broken.py").write_text("class Pipeline(:\n")
    return folder


@pytest.fixture(autouse=True)
def there(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named as a person in that folder names them."""
    monkeypatch.chdir(zoo)


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and gives its exit code and what it printed as JSON."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        code = main(["bench", *map(str, words), *FAST, "--format", "json"])
        out, err = capsys.readouterr()
        assert err == ""
        return code, json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    return run


@pytest.fixture
def failing(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and gives its exit code and what it said on standard error, having printed nothing else."""

    def run(*words: object) -> tuple[int, str]:
        try:
            code = main(["bench", *map(str, words), *FAST])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert out == ""
        return code, err

    return run


def shown(found: dict[str, Any]) -> str:
    console = Console(width=240, no_color=True)
    with console.capture() as capture:
        console.print(report.tables(found))
    return capture.get()


# What is measured -----------------------------------------------------------------------------------------------------

SCENARIOS = {
    "single-stream": ((), set(), "single-stream, 1 thread"),
    "paced": (("measure.interval_ms=1",), {"missed", "deadline_ns", "service_p50_ns"}, "a request every 1 ms: "),
    "multi-stream": ((), {"throughput", "throughputs", "how"}, "requests per second, 2 in flight over sessions"),
    "offline": (("threads=2", "measure.streams=3"), {"throughput"}, "per second, 3 in flight over run_async"),
    "sustained": (("measure.minutes=2",), {"minutes"}, "p50 of each minute: "),
    "cold": ((), {"load_ns", "first_ns", "evicted"}, "each sample is loading plus first inference"),
    "end-to-end": (("--pipeline", "steps.py", "--inputs", "rows.jsonl"), {"spans"}, "before p50 "),
    "pipeline": (
        ("--pipeline", "steps.py", "--inputs", "rows.jsonl", "measure.streams=1", "measure.queue=3"),
        {"pipeline"},
        "pipeline of 1 session, queue of 3, at full speed: ",
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario(scenario: str, bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesft.measure.protocol.MINUTE", 0.05)
    words, detail, phrase = SCENARIOS[scenario]
    code, found = bench("m.onnx", "--scenario", scenario, *words)
    assert (code, found["schema"], found["schema_version"], found["verdict"]) == (0, "edgesft/bench", 1, "pass")
    (row,) = found["rows"]
    measured, latency = row["measurement"], row["latency_ns"]
    assert (row["name"], row["provider"], row["problem"]) == ("m.onnx", "CPUExecutionProvider", None)
    assert row["model"]["size_bytes"] == Path("m.onnx").stat().st_size and row["model"]["precision"] == "fp32"
    assert measured["scenario"] == scenario and detail <= set(measured["detail"])
    samples = [ns for taken in measured["rounds_ns"] for ns in taken]
    assert latency["n"] == len(samples) >= (2 if scenario in ("sustained", "cold") else 30)
    assert all(type(ns) is int and ns > 0 for ns in (*samples, latency["p50"], measured["load_ns"]))
    assert min(samples) <= latency["p50"] <= max(samples)
    assert measured["peak_memory_bytes"] > measured["baseline_memory_bytes"] > 1e6
    assert (row["parity"] is None) == (scenario in ("end-to-end", "pipeline"))
    assert phrase in shown(found)


def test_without_copies(bench: Any) -> None:
    """On the CPU both are the same, and the report still says what was asked for."""
    code, found = bench("stream.onnx", "--io", "device")
    (row,) = found["rows"]
    assert (code, row["measurement"]["io"], row["parity"]["holds"]) == (0, "device", True)
    table = shown(found)
    assert "single-stream, 1 thread, without copies: latency in ms" in table
    assert "no copy to or from it is in the latency" in table
    code, found = bench("m.onnx")
    assert found["rows"][0]["measurement"]["io"] == "host" and "cop" not in shown(found)


def test_the_table_says_what_makes_the_figures_believable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "m.onnx", *FAST[:-1]]) == 0
    out, err = capsys.readouterr()
    for fact in ("m.onnx", "fp32", "CPU 100 %, 1 part.", "random (seed 0), 16 distinct", "onnxruntime 1."):
        assert fact in out
    assert "parity with itself, unoptimised on the CPU: holds at a tolerance of 0.001" in out
    assert "budget" not in out, "there was none"
    assert "loading m.onnx" in err and "checking m.onnx" in err


def test_models_and_settings_come_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*FAST[:2], "--format", "json", "m.onnx", *FAST[2:4], "--quiet", "m.ort", "measure.max_seconds=2"]
    assert main(["bench", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["rows"]] == ["m.onnx", "m.ort"]
    assert [row["model"]["form"] for row in found["rows"]] == ["onnx", "ort"]
    assert found["profile"]["measure"]["rounds"] == 5 and found["profile"]["measure"]["max_seconds"] == 2


def test_external_data_counts(bench: Any) -> None:
    _, found = bench("outside.onnx")
    (row,) = found["rows"]
    assert row["model"]["files"] == ["outside.onnx", "outside.bin"]
    assert row["model"]["size_bytes"] == sum(Path(name).stat().st_size for name in row["model"]["files"])


def test_a_missing_provider_is_a_row_with_its_reason(bench: Any) -> None:
    code, found = bench("m.onnx", "--provider", "cuda", "--provider", "cpu", "--provider", "azure")
    assert code == 4
    cuda, cpu, azure = found["rows"]
    assert [row["name"] for row in found["rows"]] == ["m.onnx CUDA", "m.onnx CPU", "m.onnx Azure"]
    assert "CPUExecutionProvider" in cuda["problem"] and "pip install onnxruntime-gpu" in cuda["problem"]
    assert "no node was placed on AzureExecutionProvider" in azure["problem"]
    assert cpu["problem"] is None and cpu["latency_ns"]["n"] >= 30 and cpu["parity"]["holds"]
    assert cuda["latency_ns"] is None and "m.onnx CUDA: provider CUDAExecutionProvider" in shown(found)


def test_all_may_run_on_the_cpu_where_that_is_allowed(bench: Any) -> None:
    code, found = bench("m.onnx", "--provider", "azure", "--allow-cpu")
    (row,) = found["rows"]
    assert (code, row["problem"], row["measurement"]["share"]) == (0, None, 0.0)
    assert row["measurement"]["left"] == {"MatMul": 1} and row["time_shares"] == {"CPUExecutionProvider": 1.0}
    assert "not on the provider: MatMul × 1" in shown(found)


def test_states_are_fed_back(bench: Any) -> None:
    _, found = bench("stream.onnx", "plain.onnx")
    assert [row["measurement"]["states"] for row in found["rows"]] == [{"h": "hn"}, {}]
    _, found = bench("plain.onnx", "--state", "a=b")
    assert found["rows"][0]["measurement"]["states"] == {"a": "b"} and "state fed back: a ← b" in shown(found)


def test_latency_by_length(bench: Any) -> None:
    _, found = bench("ids.onnx", "--inputs", "ragged.npz")
    (row,) = found["rows"]
    buckets = row["latency_by_length"]
    assert [(each["low"], each["high"]) for each in buckets] == [(1, 16), (17, 32)]
    assert sum(each["n"] for each in buckets) == row["latency_ns"]["n"]
    assert row["measurement"]["inputs"].startswith("ragged.npz, 30 requests")
    text = shown(found)
    assert "latency of ids.onnx in ms by sequence" in text and "17 to 32" in text


def test_explain(bench: Any) -> None:
    _, found = bench("image.onnx", "--explain")
    (row,) = found["rows"]
    told = row["explanation"]
    (conv,) = (each for each in told["operators"] if each["op"] == "Conv")
    assert conv["macs"] == 16 * 3 * 3 * 3 * 6 * 6 and told["roof"]["fp32_macs_per_second"] > 1e8
    assert told["advice"] and row["time_shares"] == {"CPUExecutionProvider": pytest.approx(1)}
    text = shown(found)
    assert "time of image.onnx by operator" in text and "longest layers" in text and "try: " in text


def test_a_model_against_itself(capsys: pytest.CaptureFixture[str]) -> None:
    few = ("m.onnx", "--aa", *FAST, "measure.seconds=0.001", "measure.samples=100")
    assert main(["bench", *few, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["schema_version"]) == ("edgesft/noise", 1)
    assert len(found["measurements"]) == 4 and [len(pairs) for pairs in found["pairs"].values()] == [6, 6, 6]
    assert set(found["floors"]) == {"p50", "p90", "p95"} and 0 <= found["floors"]["p50"] < 10
    assert all(0 <= alarms <= 6 for alarms in found["false_alarms"].values())
    assert main(["bench", *few]) == 0
    assert "m.onnx against itself: 4 processes, 5 rounds" in capsys.readouterr().out


def test_the_answers_of_another_model_are_the_right_ones(bench: Any) -> None:
    code, found = bench("m.ort", "--reference", "m.onnx")
    (row,) = found["rows"]
    assert code == 0 and row["reference"] == "m.onnx, unoptimised on the CPU" and row["parity"]["holds"]
    code, found = bench("noise.onnx", "--reference", "m.onnx")
    (row,) = found["rows"]
    assert code == 0 and not row["budget"], "what another model costs is for the task's metric to say"
    assert not row["parity"]["holds"] and "does not hold (output 'y': off by " in shown(found)


def test_answers_that_differ_from_the_unoptimised_ones_fail(bench: Any) -> None:
    code, found = bench("noise.onnx")
    (line,) = found["rows"][0]["budget"]
    assert (code, found["verdict"], line["name"], line["verdict"]) == (1, "fail", "parity", "fail")


def test_a_pipeline_of_one_s_own(bench: Any) -> None:
    code, found = bench(*PIPED, "--pipeline", "steps.py", "pipeline.gain=2")
    (row,) = found["rows"]
    assert code == 0 and row["measurement"]["inputs"] == "raw rows, 5 distinct, through steps.py"
    shares = [span["share"] for span in row["measurement"]["detail"]["spans"].values()]
    assert len(shares) == 3 and sum(shares) <= 1


def test_a_pipeline_beside_the_plain_loop(bench: Any) -> None:
    code, found = bench(*PIPELINED, "steps.py")
    (row,) = found["rows"]
    told = row["measurement"]["detail"]["pipeline"]
    assert code == 0 and row["problem"] is None and row["measurement"]["lost"] == []
    assert told["rows"] == told["answered"] == row["latency_ns"]["n"] and told["dropped"] == told["late"] == 0
    assert told["speed_up"] == pytest.approx(told["throughput"] / told["loop_throughput"])
    assert len(told["throughputs"]) == len(told["loop_throughputs"]) == 5 and told["loop_p50_ns"] > 0
    assert (told["sessions"], told["queue"], told["interval_ns"], told["deadline_ns"]) == (2, 4, None, None)
    text = shown(found)
    assert "times as many" in text and "no answer" not in text


def test_rows_that_get_no_answer_fail_a_budget_that_the_others_hold(bench: Any) -> None:
    """A row takes at least 5 ms and one comes each millisecond: however fast this machine is, most are dropped."""
    rate = ("measure.interval_ms=1", "measure.queue=1")
    code, found = bench(*PIPELINED, "slow.py", *rate, "budget.latency_ms.p50=60000", "budget.latency_ms.p90=60000")
    (row,) = found["rows"]
    told, lost = row["measurement"]["detail"]["pipeline"], sum(row["measurement"]["lost"])
    assert told["rows"] == told["answered"] + told["dropped"] and told["dropped"] == lost > told["rows"] / 2
    assert told["answered"] == row["latency_ns"]["n"] and row["latency_ns"]["p50"] < 60e9, "of the answered ones"
    p50, p90, *_ = row["budget"]
    assert (code, found["verdict"]) == (1, "fail")
    assert p50["verdict"] != "pass" and (p90["verdict"], p90["value"]) == ("fail", None)
    assert p90["reason"] == f"{lost} of {told['rows']} rows got no answer, and count as infinitely slow"
    text = shown(found)
    assert f"{told['dropped']} dropped from the full queue" in text and "of the rows got no answer: " in text


def test_rows_whose_deadline_passes_are_given_up(bench: Any) -> None:
    """The first step takes at least 5 ms, and a session must have a row after one."""
    code, found = bench(*PIPELINED, "slow.py", "measure.deadline_ms=1", "budget.latency_ms.p50=60000")
    (row,) = found["rows"]
    told = row["measurement"]["detail"]["pipeline"]
    assert told["late"] == told["rows"] == sum(row["measurement"]["lost"]) >= 30 and told["answered"] == 0
    assert code == 1 and row["budget"][0]["verdict"] == "fail" and row["latency_ns"]["p50"] is None
    text = shown(found)
    assert f"{told['rows']} rows: 0 answered, {told['rows']} given up after 1 ms" in text
    assert "100.0 % of the rows got no answer" in text


def test_rows_that_get_no_answer_have_no_noise(failing: Any) -> None:
    code, said = failing(*PIPELINED, "slow.py", "measure.deadline_ms=1", "--aa")
    assert (
        code == 4
        and "the noise of m.onnx cannot be measured: " in said
        and "rows got no answer: a longer queue" in said
    )


def test_states_that_are_fed_back_overlap_with_nothing(bench: Any) -> None:
    code, found = bench("stream.onnx", *PIPELINED[1:], "stateful.py")
    assert code == 4 and "steps cannot overlap" in found["rows"][0]["problem"]


# What is judged -------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("settings", "code", "verdicts"),
    [
        (["budget.latency_ms.p95=2"], 0, ["pass", "pass"]),
        (["budget.latency_ms.p95=0.5", "budget.size_mb=1"], 1, ["fail", "pass", "pass"]),
        (["budget.latency_ratio.p50=0.5", "budget.size_mb=1"], 3, ["inconclusive", "pass", "pass"]),
        (["budget.latency_ratio.p50=0.5", "budget.size_mb=1e-6"], 1, ["inconclusive", "fail", "pass"]),
        (["budget.load_ms=5000", "budget.first_inference_ms=5000"], 0, ["pass", "pass", "pass"]),
    ],
    ids=["pass", "fail", "inconclusive", "fail before inconclusive", "loads"],
)
def test_the_verdict_is_the_exit_code(
    settings: list[str], code: int, verdicts: list[str], bench: Any, tmp_path: Path
) -> None:
    python = save_interpreter(tmp_path / "steady", STEADY)
    got, found = bench("m.onnx", "--python", python, *settings)
    (row,) = found["rows"]
    assert got == code and [line["verdict"] for line in row["budget"]] == verdicts
    assert row["latency_ns"]["p50"] == 1_000_002 and "verdict: " in shown(found)
    assert len(row["measurement"]["loads_ns"]) == (5 if "load" in settings[0] else 1)


def test_what_a_shipped_profile_calls_typical_is_not_judged(bench: Any) -> None:
    code, found = bench("m.onnx", "--profile", "this-machine", "budget.size_mb=1")
    assert code == 0 and [line["name"] for line in found["rows"][0]["budget"]] == ["size_mb", "parity"]
    assert found["profile"]["budget"]["max_drop"] == {}


@posix
def test_a_profile_of_one_s_own_is_judged(bench: Any, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(
        "name: mine\ndescription: a board\nproviders: [{name: CPUExecutionProvider}]\n"
        "machine: {model: No Such Board}\nbudget: {latency_ms: {p50: 2}, size_mb: 1.0e-6}\n"
    )
    python = save_interpreter(tmp_path / "steady", STEADY)
    code, found = bench("m.onnx", "--profile", profile, "--python", python)
    timed, size, _ = found["rows"][0]["budget"]
    assert code == 1 and size["verdict"] == "fail"
    assert timed["verdict"] == "inconclusive" and "model: the profile is for No Such Board" in timed["reason"]
    code, _ = bench("m.onnx", "--profile", profile, "--python", python, "budget.size_mb=1")
    assert code == 3


# What cannot work -----------------------------------------------------------------------------------------------------

PIPED = ("m.onnx", "--scenario", "end-to-end", "--inputs", "rows.jsonl")
PIPELINED = ("m.onnx", "--scenario", "pipeline", "--inputs", "rows.jsonl", "--pipeline")

BAD = {
    "no model": (["seed=1"], ["model must be an ONNX or ORT file", "edgesft bench model.onnx"]),
    "no such file": (["n.onnx"], ["must be a file that exists, got 'n.onnx'", "Try: 'm.onnx'"]),
    "text": (["page.onnx"], ["must be an ONNX or ORT-format file, got text", "<html>404"]),
    "all files at once": (["page.onnx", "empty.onnx", "."], ["got text", "the empty file", "got the folder"]),
    "one file twice": (["m.onnx", "m.onnx"], ["models must differ, got m.onnx more than once", "--aa"]),
    "no external data": (["lone/m.onnx"], ["must lie beside its external data", "lone/outside.bin"]),
    "custom operator": (["custom.onnx"], ["operator 'Nope' of domain 'mine'", "custom operators"]),
    "unknown operator": (["unknown.onnx"], ["operator 'Nope' must be in opset 20", "newer onnxruntime"]),
    "unknown opset": (["later.onnx"], ["opset of domain ai.onnx must be at most", "got 99"]),
    "each model by name": (["custom.onnx", "later.onnx"], ["custom.onnx: operator", "later.onnx: opset"]),
    "free axis": (["ids.onnx"], ["axis 'sequence' of 'ids' must have a size", "--axis sequence=64"]),
    "unknown axis": (["ids.onnx", "--axis", "sequense=9"], ["axis 'sequense' must be a free axis", "'sequence'"]),
    "axis without size": (["ids.onnx", "--axis", "sequence"], ["axis must be a name and a value, got sequence"]),
    "axis of no number": (["ids.onnx", "--axis", "sequence=x"], ["must be a whole number, got 'x'"]),
    "axis of nothing": (["ids.onnx", "--axis", "sequence=0"], ["axis 'sequence' must be at least 1, got 0"]),
    "axis twice": (["ids.onnx", "--axis", "a=1", "--axis", "a=2"], ["axis must be given once", "got a more than"]),
    "axis for a file": (["m.onnx", "--inputs", "m.npz", "--axis", "batch=2"], ["axes must go with random inputs"]),
    "no batch axis": (["stream.onnx", "--batch", "4"], ["batch must be 1", "got 4"]),
    "no such inputs": (["m.onnx", "--inputs", "n.npz"], ["must be an npz file that exists, got 'n.npz'"]),
    "inputs of text": (["m.onnx", "--inputs", "rows.jsonl"], ["must be an npz file, got 'rows.jsonl'"]),
    "inputs that do not fit": (
        ["m.onnx", "--inputs", "wide.npz"],
        ["'x' must be of shape [batch, 4], got [20, 5]", "'z' must be an input of the model", "one of x"],
    ),
    "inputs of another type": (["ids.onnx", "--inputs", "floats.npz"], ["'ids' must be of type int64, got float64"]),
    "inputs beyond the table": (["ids.onnx", "--inputs", "beyond.npz"], ["inputs must be what", "idx=99"]),
    "unknown provider": (["m.onnx", "--provider", "opnvino"], ["provider must be one", "'openvino'"]),
    "unknown state": (["stream.onnx", "--state", "hh=hn"], ["'hh=hn' must name an input, got 'hh'", "'h'"]),
    "half a state": (["stream.onnx", "--state", "h"], ["state must be a name and a value, got h", "--state h=hn"]),
    "unknown setting": (["m.onnx", "mesure.x=1"], ["'mesure' is not a key here", "'measure'"]),
    "wrong setting": (["m.onnx", "threads=no"], ["'threads' must be a valid integer", "'no'"]),
    "unknown profile": (["m.onnx", "--profile", "ci-machine"], ["must be a known profile", "Try: "]),
    "unknown scenario": (["m.onnx", "--scenario", "all"], ["invalid choice: 'all'", "single-stream"]),
    "no time": (["m.onnx", "--time-limit", "soon"], ["--time-limit: must be a number above 0, got 'soon'"]),
    "negative seed": (["m.onnx", "--seed", "-1"], ["--seed: must be a whole number from 0 on, got '-1'"]),
    "no such reference": (["m.onnx", "--reference", "n.onnx"], ["reference 'n.onnx': ", "'m.onnx'"]),
    "another reference": (["m.onnx", "--reference", "ids.onnx"], ["'ids.onnx': must answer the requests of 'm.onnx'"]),
    "several against themselves": (["m.onnx", "m.ort", "--aa"], ["--aa takes one model", "got 2 models"]),
    "conversions of a model against itself": (
        ["m.onnx", "--aa", "--precision", "int8", "--calibration", "m.npz", "--reference", "m.onnx", "--explain"],
        [f"--{name} must be left out with --aa" for name in ("precision", "calibration", "reference", "explain")],
    ),
    "ranges of nothing": (["m.onnx", "--calibration", "m.npz"], ["--calibration must go with --precision int8"]),
    "precision of raw rows": (
        [*PIPED, "--pipeline", "steps.py", "--precision", "int8"],
        ["--precision must go with a scenario of requests", "got end-to-end"],
    ),
    "pipeline without its scenario": (["m.onnx", "--pipeline", "text"], ["--scenario end-to-end", "got single-stream"]),
    "no rows for a pipeline": (
        [*PIPELINED[:3], "--pipeline", "steps.py"],
        ["given for the scenario pipeline, got none"],
    ),
    "no queue": ([*PIPELINED, "steps.py", "measure.queue=0"], ["'queue' must be greater than or equal to 1", "0"]),
    "a pipeline in batches": ([*PIPELINED, "steps.py", "--batch", "2"], ["batch must be 1 for the scenario pipeline"]),
    "rows on the device": ([*PIPED, "--pipeline", "steps.py", "--io", "device"], ["io must be host", "end-to-end"]),
    "unknown io": (["m.onnx", "--io", "gpu"], ["invalid choice: 'gpu'", "device"]),
    "no pipeline": ([*PIPED], ["pipeline: must be named", "text, image"]),
    "unknown pipeline": ([*PIPED, "--pipeline", "sound"], ["must be text, image, audio or a Python file, got 'sound'"]),
    "broken pipeline": ([*PIPED, "--pipeline", "broken.py"], ["pipeline 'broken.py' must start", "SyntaxError"]),
    "wrong option": ([*PIPED, "--pipeline", "steps.py", "pipeline.gain=much"], ["must start, got: ValueError", "much"]),
    "no rows": ([*PIPED[:3], "--pipeline", "steps.py"], ["inputs must be given for the scenario end-to-end"]),
    "odd row": ([*PIPED[:4], "odd.jsonl", "--pipeline", "steps.py"], ["must take row 2 of 2, got: KeyError: 'x'"]),
    "wrong pipeline": (
        ["ids.onnx", *PIPED[1:], "--pipeline", "steps.py"],
        ["pipeline 'steps.py' must take a row to the answer", "['ids']"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, failing: Any) -> None:
    words, phrases = BAD[case]
    code, said = failing(*words)
    assert code == 2 and "Traceback" not in said
    assert all(phrase in said for phrase in phrases), said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_inputs_that_may_not_be_read(failing: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=np.ones((1, 4)))
    (tmp_path / "mine.npz").chmod(0)
    code, said = failing("m.onnx", "--inputs", tmp_path / "mine.npz")
    assert code == 2 and "inputs must be an npz file" in said


# What the environment cannot do ---------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "python must start, got"),
        ("#!/bin/sh\nexit 0\n", "python must be an interpreter that has numpy and onnxruntime"),
        ("#!/bin/sh\necho 'No module named onnxruntime' >&2\nexit 1\n", "No module named onnxruntime"),
        ("#!/bin/sh\nread line; echo hello\n", "must answer 'info' with JSON, got 'hello"),
    ],
    ids=["none", "no interpreter", "no runtime", "no agent"],
)
def test_an_interpreter_that_cannot_measure(program: str | None, said: str, failing: Any, tmp_path: Path) -> None:
    python = tmp_path / "python"
    if program:
        python.write_text(program)
        python.chmod(0o755)
    code, err = failing("m.onnx", "--python", python)
    assert code == 4 and said in err and "Try: " in err and str(python) in err


@posix
def test_an_interpreter_is_found_beside_the_shell(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Path("m.onnx").absolute()
    save_interpreter(tmp_path / "python", STEADY)
    monkeypatch.chdir(tmp_path)
    code, found = bench(model, "--python", "./python")
    assert code == 0 and found["rows"][0]["latency_ns"]["p50"] == 1_000_002


@posix
@pytest.mark.parametrize("op", ["load", "run", "time", "memory"])
def test_a_crash_is_a_row_with_its_reason(op: str, bench: Any, tmp_path: Path) -> None:
    python = save_interpreter(tmp_path / "python", first(op, DIE))
    code, found = bench("m.onnx", "--python", python)
    (row,) = found["rows"]
    asked = "first" if op == "time" else op
    assert code == 4 and f"died in '{asked}' (killed by signal 9)" in row["problem"]
    # Answers are compared after it was timed.
    assert (row["measurement"] is None) == (row["latency_ns"] is None) == (op != "run")
    assert row["problem"] in shown(found)


@posix
def test_a_crash_ends_nobody_else_s_measurement(bench: Any, tmp_path: Path) -> None:
    python = save_interpreter(tmp_path / "python", first("load", DIE, "'stream' in fields['model']"))
    code, found = bench("stream.onnx", "m.onnx", "--python", python)
    crashed, measured = found["rows"]
    assert code == 4 and "died in 'load'" in crashed["problem"]
    assert measured["problem"] is None and measured["latency_ns"]["n"] >= 30 and measured["parity"]["holds"]


@posix
def test_a_crash_of_one_copy_ends_a_comparison_with_itself(failing: Any, tmp_path: Path) -> None:
    python = save_interpreter(tmp_path / "python", first("memory", DIE))
    code, said = failing("m.onnx", "--aa", "--python", python)
    assert code == 4 and "died in 'memory' (killed by signal 9)" in said


@posix
def test_what_was_measured_before_a_crash_is_kept(bench: Any, tmp_path: Path) -> None:
    python = save_interpreter(tmp_path / "python", first("profile", DIE))
    code, found = bench("m.onnx", "--explain", "--python", python)
    (row,) = found["rows"]
    assert code == 4 and row["problem"].startswith("measured, but not checked: ") and row["latency_ns"]["n"] >= 30


def test_a_model_that_hangs(bench: Any) -> None:
    started = time.monotonic()
    code, found = bench("endless.onnx", "--time-limit", "2.5")
    assert code == 4 and "did not answer 'run' within 2.5 s and was ended" in found["rows"][0]["problem"]
    assert time.monotonic() - started < 10


@posix
def test_a_provider_that_hangs_ends_nobody_else_s_measurement(bench: Any, tmp_path: Path) -> None:
    python = save_interpreter(tmp_path / "python", first("memory", HANG, "'stream' in self.origin['model']"))
    code, found = bench("stream.onnx", "m.onnx", "--python", python, "--time-limit", "2.5")
    hung, measured = found["rows"]
    assert code == 4 and "did not answer 'memory' within 2.5 s" in hung["problem"] and measured["problem"] is None


# What is left behind --------------------------------------------------------------------------------------------------


def wait_for(condition: Any, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


@needs_proc
@posix
@pytest.mark.parametrize(
    ("number", "whole", "code"),
    [
        (signal.SIGINT, False, 130),
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, False, -signal.SIGTERM),
        (signal.SIGKILL, False, -signal.SIGKILL),
    ],
    ids=["interrupt", "interrupt of a terminal", "terminate", "kill"],
)
def test_no_agent_outlives_the_command(number: int, whole: bool, code: int) -> None:
    command = [sys.executable, "-m", "edgesft", "bench", "endless.onnx"]
    # What runs in a shell's background inherits that it ignores interrupts.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=heed) as process:
        try:
            assert wait_for(lambda: any(running(pid) > 0.2 for pid in agents(process.pid)))
            (os.killpg if whole else os.kill)(process.pid, number)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == code and b"Traceback" not in said
    assert wait_for(lambda: not agents(process.pid), 5)


def running(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_training_library_is_loaded() -> None:
    probe = (
        "import sys\nfrom edgesft.cli.main import main\n"
        f"assert main({['bench', 'm.onnx', *FAST]!r}) == 0\n"
        "print(*({'torch', 'transformers', 'onnxruntime', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
