"""A model of sound in frames of any settings: each at half, and a quarter of the one before it, which is an echo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.ship import runs


def echo(bundle: Path, target: Path, **changes: Any) -> Path:
    """The bundle with this model and contract in place of its own; its golden rows are another model's."""
    said = {"window": 64, "hop": 16, "taper": "sqrt-hann", "features": "spectrum", **changes}
    shape = [1, said["window"] // 2 + 1, 1, 2] if said["features"] == "spectrum" else [1, said["window"]]
    ends = [dict.fromkeys(names, shape) for names in (("frame", "state"), ("clean", "state_out"))]
    gain = 1.0 if said["taper"] == "none" else said["window"] / said["hop"] / 2
    made = runs.copy(bundle, target)
    onnx.save(_model(*ends), str(made / "models/fp32/model.onnx"))
    told = [[{"name": name, "dtype": "float32", "shape": shape} for name in end] for end in ends]

    def change(contract: dict[str, Any]) -> None:
        contract |= {"inputs": told[0], "outputs": told[1], "states": {"state": "state_out"}, "labels": []}
        contract["preparation"] = {"kind": "frames", "columns": ["audio"], "rate": 4000, "input": "frame", **said}
        contract["decoding"] = {"kind": "frames", "output": "clean", **said, "gain": gain}

    runs.edit(made / "contract.json", change)
    runs.seal(made)
    return made


def _model(inputs: dict[str, list[int]], outputs: dict[str, list[int]]) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["frame", "half"], ["now"]),
        helper.make_node("Mul", ["state", "quarter"], ["before"]),
        helper.make_node("Add", ["now", "before"], ["clean"]),
        helper.make_node("Identity", ["frame"], ["state_out"]),
    ]
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in end.items()]
        for end in (inputs, outputs)
    ]
    weights = {"half": np.float32(0.5), "quarter": np.float32(0.25)}
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "echo", *values, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
