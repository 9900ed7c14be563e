"""Graphs of what the raw models' parts write, ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import helper

from edgesft.ship.raw.nodes import LEAST_OPSET, Nodes, value


def run(n: Nodes, inputs: Mapping[str, tuple[str, Sequence[Any]]], outputs: Mapping[str, tuple[str, str]]) -> Any:
    """What answers feeds by what was written.

    Args:
        n: The nodes.
        inputs: Name → type and shape.
        outputs: What it is called then → the value, and its type.
    """
    for name, (made, _) in outputs.items():
        n("Identity", made, name=name)
    ends = [
        [value(name, *said) for name, said in inputs.items()],
        [value(name, said[1]) for name, said in outputs.items()],
    ]
    graph = helper.make_graph(n.written, "written", *ends, n.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", LEAST_OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def answer(**feeds: np.ndarray) -> list[np.ndarray]:
        return session.run(list(outputs), feeds)

    return answer
