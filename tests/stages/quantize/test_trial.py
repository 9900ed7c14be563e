"""int8 for timing alone: of which kind, and whether at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.spec.stages import Precision
from edgesft.stages.artefact import Artefact
from edgesft.stages.quantize import trial
from tests.stages.surroundings import Small, context


def _with_convolution(artefact: Artefact, place: Path) -> Path:
    """The model, beside whose answers a convolution of its mask is worked out."""
    model = onnx.load(artefact.model)
    kernel = numpy_helper.from_array(np.ones((4, 1, 1), np.float32), "kernel")
    model.graph.initializer.append(kernel)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["attention_mask"], ["floats"], "floats", to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["floats", "one"], ["images"], "images"),
            helper.make_node("Conv", ["images", "kernel"], ["convolved"], "convolved"),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("convolved", TensorProto.FLOAT, None))
    onnx.save(model, place)
    return place


def _fixed(times: Sequence[int]) -> Callable[[Sequence[Path]], list[int]]:
    def latency(files: Sequence[Path]) -> list[int]:
        assert all(file.is_file() for file in files)
        return list(times)

    return latency


def _never() -> Path:
    raise AssertionError("must not be asked")


@pytest.mark.parametrize(("times", "found"), [((100, 60), "int8"), ((100, 97), "fp32")])
@pytest.mark.parametrize("convolutions", [False, True])
def test_int8_where_it_is_faster(
    times: tuple[int, int], found: str, convolutions: bool, tiny_model: Small, artefact: Artefact, tmp_path: Path
) -> None:
    surroundings = context(tmp_path, tiny_model, latency=_fixed(times), precisions=("fp32", "int8"))
    source = _with_convolution(artefact, tmp_path / "conv.onnx") if convolutions else artefact.model
    chosen = trial.settled("auto", lambda: source, tmp_path / "int8.onnx", surroundings)
    assert chosen == (found if found == "fp32" else f"int8-{'static' if convolutions else 'dynamic'}")
    operators = {node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node}
    assert ("QuantizeLinear" if convolutions else "DynamicQuantizeLinear") in operators


@pytest.mark.parametrize("asked", ["fp32", "int8-dynamic", "int8-static"])
def test_what_is_asked_for_needs_no_measurement(asked: Precision, tiny_model: Small, tmp_path: Path) -> None:
    surroundings = context(tmp_path, tiny_model)
    assert trial.settled(asked, _never, tmp_path / "int8.onnx", surroundings) == asked


def test_a_quantizer_that_fails_does_not_end_the_stage(
    tiny_model: Small, artefact: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(trial, "dynamic", broken)
    surroundings = context(tmp_path, tiny_model, precisions=("fp32", "int8"))
    assert trial.settled("auto", lambda: artefact.model, tmp_path / "int8.onnx", surroundings) == "fp32"


def test_what_the_profile_lacks_is_not_tried(tiny_model: Small, tmp_path: Path) -> None:
    surroundings = context(tmp_path, tiny_model, precisions=("fp32",))
    assert trial.settled("auto", _never, tmp_path / "int8.onnx", surroundings) == "fp32"


def test_fp32_is_the_model_itself(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    surroundings = context(tmp_path, tiny_model)
    assert trial.quantized(artefact.model, tmp_path / "q.onnx", "fp32", surroundings) == artefact.model
    assert not (tmp_path / "q.onnx").exists()


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static"])
def test_what_rounding_costs_is_how_far_the_metric_falls(
    precision: Precision, reduced: bool, tiny_model: Small, artefact: Artefact, tmp_path: Path, monkeypatch: Any
) -> None:
    made = list[tuple[int, dict[str, Any]]]()
    monkeypatch.setattr(trial, "saturates", lambda _: reduced)
    for name in ("static", "dynamic"):
        monkeypatch.setattr(trial, name, lambda *given, **how: made.append((sum(map(len, given[2:])), how)))
    metrics = {artefact.model: {"accuracy": 0.9}, tmp_path / "int8.onnx": {"accuracy": 0.7}}
    surroundings = context(tmp_path, tiny_model, evaluate=lambda file: metrics[file])
    surroundings = replace(surroundings, train=tiny_model.rows[:5])
    assert trial.lost(artefact.model, tmp_path / "int8.onnx", precision, surroundings) == pytest.approx(0.2)
    assert made == [(5 if precision == "int8-static" else 0, {"reduced": reduced})], "of the training rows"
