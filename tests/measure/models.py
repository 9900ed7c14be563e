"""Small ONNX models, made anew each time, and profiles to measure them with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgesft.spec.profile import MeasureSpec, ProfileSpec, ProviderSpec


def save_product(path: Path, *, width: int = 4, repeats: int = 1) -> Path:
    """A model that multiplies `x`, float (batch, width), by the identity so many times, giving `y`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.eye(width, dtype=np.float32), "weight")
    names = ["x", *(f"h{index}" for index in range(1, repeats)), "y"]
    nodes = [
        helper.make_node("MatMul", [names[index], "weight"], [names[index + 1]], name=f"product{index}")
        for index in range(repeats)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def profile(**changes: Any) -> ProfileSpec:
    """The CPU, one thread, measured for a blink."""
    settings: dict[str, Any] = {
        "name": "test",
        "description": "for tests",
        "providers": [ProviderSpec(name="CPUExecutionProvider")],
        "measure": MeasureSpec(samples=30, seconds=0.02, rounds=5, max_seconds=1, warmup_seconds=0.2),
    }
    return ProfileSpec(**{**settings, **changes})
