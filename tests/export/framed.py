"""Bundles of models of sound as it comes, whose frames overlap: only the contract and the models of them are real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.ship import runs


def spectral(bundle: Path, target: Path, **changes: Any) -> Path:
    """Each frame of a spectrum at half, and a quarter of the one before it: a sound with an echo."""
    said = {"window": 64, "hop": 16, "taper": "sqrt-hann", "features": "spectrum", **changes}
    shape = [1, said["window"] // 2 + 1, 1, 2] if said["features"] == "spectrum" else [1, said["window"]]
    nodes = [
        helper.make_node("Mul", ["frame", "half"], ["now"]),
        helper.make_node("Mul", ["state", "quarter"], ["before"]),
        helper.make_node("Add", ["now", "before"], ["clean"]),
        helper.make_node("Identity", ["frame"], ["state_out"]),
    ]
    gain = 1.0 if said["taper"] == "none" else said["window"] / said["hop"] / 2
    preparation = {"kind": "frames", "columns": ["audio"], "rate": 4000, "input": "frame", **said}
    decoding = {"kind": "frames", "output": "clean", **said, "gain": gain}
    return _bundle(bundle, target, nodes, shape, "clean", shape, preparation, decoding, [])


def voiced(bundle: Path, target: Path) -> Path:
    """How loud a frame is beside the ones before it: a number between 0 and 1."""
    said = {"window": 80, "hop": 40, "taper": "none", "features": "samples"}
    nodes = [
        helper.make_node("Mul", ["frame", "frame"], ["power"]),
        helper.make_node("ReduceMean", ["power"], ["quiet"], keepdims=1),
        helper.make_node("Add", ["quiet", "least"], ["mean"]),
        helper.make_node("Add", ["mean", "state"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["state_out"]),
        helper.make_node("Div", ["mean", "sum"], ["chance"]),
    ]
    preparation = {"kind": "frames", "columns": ["audio"], "rate": 4000, "input": "frame", **said}
    decoding = {"kind": "probability", "output": "chance", "threshold": 0.5}
    return _bundle(bundle, target, nodes, [1, 80], "chance", [1, 1], preparation, decoding, ["voice"], state=[1, 1])


def _bundle(
    bundle: Path,
    target: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int],
    output: str,
    answered: list[int],
    preparation: dict[str, Any],
    decoding: dict[str, Any],
    labels: list[str],
    *,
    state: list[int] | None = None,
) -> Path:
    ends = [{"frame": shape, "state": state or shape}, {output: answered, "state_out": state or shape}]
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in end.items()] for end in ends
    ]
    weights = {"half": 0.5, "quarter": 0.25, "least": 1e-6}
    initializers = [
        onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "frames", *values, initializers),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    made = runs.copy(bundle, target)
    onnx.save(model, str(made / "models/fp32/model.onnx"))
    told = [[{"name": name, "dtype": "float32", "shape": size} for name, size in end.items()] for end in ends]

    def change(said: dict[str, Any]) -> None:
        said |= {"inputs": told[0], "outputs": told[1], "states": {"state": "state_out"}, "labels": labels}
        said |= {"preparation": preparation, "decoding": decoding}

    runs.edit(made / "contract.json", change)
    runs.seal(made)
    return made
