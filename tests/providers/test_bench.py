"""`edgesft bench` on providers that are really here: their own variants, placement, answers, and never a wrong time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesft.cli.main import main
from tests.providers.environments import FILE, device
from tests.providers.models import save_encoder, save_net, save_requests

pytestmark = pytest.mark.providers

Bench = Callable[..., tuple[int, dict[str, Any]]]

NPU = "qnn:soc_model=57"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Measures a model on a device and provider; its exit code and rows by label."""
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    makers = {"net": save_net, "encoder": save_encoder}

    def run(kind: str, name: str, provider: str, *words: str) -> tuple[int, dict[str, Any]]:
        device(name)
        model, requests = makers[kind](tmp_path / f"{kind}.onnx")
        inputs = save_requests(tmp_path / f"{kind}.npz", requests)
        code = main([
            "bench", str(model), "--inputs", str(inputs), "--devices", str(FILE), "--device", name, "--quiet",
            "--provider", provider, "--format", "json", *words,
            *("measure.samples=30", "measure.seconds=0.1", "measure.rounds=5", "measure.warmup_seconds=0.2"),
        ])  # fmt: skip
        printed = capsys.readouterr()
        return code, {row["name"]: row for row in json.loads(printed.out)["rows"]} if printed.out else {"": printed.err}

    return run


def simulated(row: dict[str, Any], words: str) -> None:
    """No figure of time or memory stands in a row of what only stands in for the hardware."""
    measured = row["measurement"]
    assert words in measured["simulated"]
    assert row["latency_ns"] == {"n": 0, "p50": None, "p90": None, "p95": None, "p99": None}
    assert measured["rounds_ns"] == measured["loads_ns"] == measured["firsts_ns"] == []
    assert measured["load_ns"] is measured["first_ns"] is measured["peak_memory_bytes"] is measured["grade"] is None
    assert row["time_shares"] is None


@pytest.mark.parametrize("kind", ["net", "encoder"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_qnn_takes_whole_models_in_its_own_form(kind: str, precision: str, bench: Bench) -> None:
    code, rows = bench(kind, "qnn", NPU, "--precision", precision)
    ((_, row),) = rows.items()
    simulated(row, "HTP")
    assert (code, row["problem"], row["parity"]["holds"]) == (0, None, True)
    share = row["measurement"]["share"]
    # What quantizes the input and dequantizes the answer stays on the CPU.
    assert share == 1 if precision == "fp32" else share > 0.9
    assert ("fixed at batch 1, sequence 12" in row["made"]) == (kind == "encoder")
    if precision == "int8":
        assert ("int8 u8u8" if kind == "net" else "int8 u16u8") in row["made"]
        assert row["agreement"]["top1"] >= 0.9 and row["model"]["precision"] == "int8-static"


def test_a_model_with_free_axes_gets_fixed_ones_by_itself(bench: Bench) -> None:
    _, rows = bench("encoder", "qnn", NPU)
    (row,) = rows.values()
    assert row["made"] == "fixed at batch 1, sequence 12" and row["measurement"]["share"] == 1
    # Requests of any length were padded and the answers cut back: they are those of the model with free axes.
    assert row["agreement"]["holds"] and row["agreement"]["top1"] == 1.0


def test_qnn_s_simulator_wants_to_know_the_chip(bench: Bench) -> None:
    code, rows = bench("net", "qnn", "qnn")
    (row,) = rows.values()
    assert code == 4 and "soc_model of QNNExecutionProvider must be given" in row["problem"]


@pytest.mark.parametrize("option", ["backend_type=cpu", "backend_type=saver", "soc_modell=57", "vtcm=8"])
def test_options_that_qnn_would_ignore_are_refused(option: str, bench: Bench) -> None:
    code, rows = bench("net", "qnn", f"{NPU},{option}")
    assert code == 2 and option.split("=")[0] in rows[""]


def test_a_chip_that_there_is_not_places_nothing_and_is_said(bench: Bench) -> None:
    code, rows = bench("net", "qnn", "qnn:soc_model=9999")
    (row,) = rows.values()
    assert code == 4 and "no node was placed on QNN" in row["problem"] and row["measurement"] is None


@pytest.mark.parametrize("kind", ["net", "encoder"])
def test_openvino_computes_here_and_is_timed(kind: str, bench: Bench) -> None:
    code, rows = bench(kind, "openvino", "openvino", "--precision", "fp32", "--precision", "int8")
    assert code == 0 and len(rows) == 2
    for row in rows.values():
        assert row["measurement"]["simulated"] is None and row["latency_ns"]["p50"] > 0
        assert row["measurement"]["placement"].keys() == {"OpenVINOExecutionProvider"} and row["whole"] is True
        assert row["parity"]["holds"]


def test_openvino_does_not_fall_back_in_silence(bench: Bench) -> None:
    code, rows = bench("net", "openvino", "openvino:device_type=NPU")
    (row,) = rows.values()
    assert code == 4 and row["measurement"] is None and "OpenVINOExecutionProvider" in row["problem"]


def test_webgpu_s_placement_comes_from_the_profile(bench: Bench) -> None:
    code, rows = bench("net", "webgpu", "webgpu")
    (row,) = rows.values()
    simulated(row, "swiftshader")
    assert code == 0 and row["measurement"]["placement"].keys() == {"WebGpuExecutionProvider"}
    # The runtime's own record tells of two nodes; after fusion there are more.
    assert row["measurement"]["placement"]["WebGpuExecutionProvider"] >= 5


def test_webgpu_leaves_shapes_to_the_cpu_and_takes_four_bits(bench: Bench) -> None:
    _, rows = bench("encoder", "webgpu", "webgpu", "--precision", "int4", "--precision", "int8")
    four, eight = rows.values()
    assert four["made"] == "int4" and four["measurement"]["placement"]["WebGpuExecutionProvider"] > 5
    assert "int8 for webgpu" in eight["problem"]


@pytest.mark.parametrize("kind", ["net", "encoder"])
def test_an_emulated_arm_answers_alike_and_is_not_timed(kind: str, bench: Bench) -> None:
    code, rows = bench(kind, "arm64", "cpu")
    (row,) = rows.values()
    simulated(row, "qemu")
    assert code == 0 and row["parity"]["holds"]
    assert (
        row["measurement"]["machine"]["architecture"] == "aarch64" and "QEMU" in row["measurement"]["machine"]["model"]
    )


def test_several_devices_and_providers_at_once(bench: Bench) -> None:
    device("openvino")
    others = ("--device", "openvino", "--device", "here", "--provider", "openvino", "--provider", "cpu")
    _, rows = bench("net", "qnn", NPU, *others)
    on_cpu = [f"net.onnx CPU on {name}" for name in ("qnn", "openvino", "here")]
    assert list(rows) == ["net.onnx QNN on qnn", "net.onnx OpenVINO on openvino", *on_cpu]
    assert all(row["problem"] is None for row in rows.values())


COMPILE = """
import sys, onnxruntime as ort, onnxruntime_qnn as qnn
ort.register_execution_provider_library("QNNExecutionProvider", qnn.get_library_path())
options = ort.SessionOptions()
options.add_session_config_entry("ep.context_enable", "1")
options.add_session_config_entry("ep.context_file_path", sys.argv[2])
options.add_session_config_entry("ep.context_embed_mode", "1")
device = next(each for each in ort.get_ep_devices() if each.ep_name == "QNNExecutionProvider")
options.add_provider_for_devices([device], {"backend_type": "htp", "soc_model": "57"})
ort.InferenceSession(sys.argv[1], sess_options=options)
"""
"""Compiles a model ahead for the chip, as a phone's application would load it."""


def test_what_was_compiled_ahead_for_a_chip_runs_there_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    python = device("qnn").command(1, Path("unused"))[0]
    model, requests = save_net(tmp_path / "net.onnx")
    compiled = tmp_path / "compiled.onnx"
    subprocess.run([python, "-c", COMPILE, str(model), str(compiled)], check=True, capture_output=True)
    inputs = save_requests(tmp_path / "net.npz", requests)
    words = ["bench", str(compiled), "--inputs", str(inputs), "--devices", str(FILE), "--quiet", "--format", "json"]
    assert main([*words, "--device", "qnn", "--provider", NPU, "--reference", str(model)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    simulated(row, "HTP")
    assert (
        row["measurement"]["placement"] == {"QNNExecutionProvider": 1}
        and row["parity"]["outputs"][0]["relative"] < 0.01
    )
    assert main([*words, "--provider", "cpu"]) in (2, 4)
