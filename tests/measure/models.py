"""Small ONNX models, made anew each time, and profiles to measure them with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.spec.profile import MeasureSpec, ProfileSpec, ProviderSpec

Shape = Sequence[int | str]


def save_product(path: Path, *, width: int = 4, repeats: int = 1, outside: str = "") -> Path:
    """A model that multiplies `x`, float (batch, width), by the identity so many times, giving `y`.

    Args:
        path: Where it is saved.
        width: Of the matrices.
        repeats: How many of them.
        outside: Name of a file beside it that holds the weights.
    """
    names = ["x", *(f"h{index}" for index in range(1, repeats)), "y"]
    nodes = [
        ("MatMul", [names[index], "weight"], [names[index + 1]], {"name": f"product{index}"})
        for index in range(repeats)
    ]
    ends = {"x": ("float", ("batch", width))}, {"y": ("float", ("batch", width))}
    return save(path, nodes, *ends, outside=outside, weight=np.eye(width, dtype=np.float32))


def save_classifier(path: Path, *, rows: int = 10, classes: int = 3) -> Path:
    """`ids`, int64 (batch, sequence), index a table of so many rows, whose mean is `logits`, float (batch, classes)."""
    table = np.random.default_rng(0).standard_normal((rows, classes)).astype(np.float32)
    nodes = [
        ("Gather", ["table", "ids"], ["rows"], {}),
        ("ReduceMean", ["rows", "axes"], ["logits"], {"keepdims": 0}),
    ]
    ends = {"ids": ("int64", ("batch", "sequence"))}, {"logits": ("float", ("batch", classes))}
    return save(path, nodes, *ends, table=table, axes=np.array([1]))


def save_streaming(path: Path, *, state: str = "h", new: str = "hn") -> Path:
    """`y` is `x` plus the state, float (1, 4), and the new state is half of that."""
    shape = ("float", (1, 4))
    nodes = [("Add", ["x", state], ["y"], {}), ("Mul", ["y", "half"], [new], {})]
    return save(path, nodes, {"x": shape, state: shape}, {"y": shape, new: shape}, half=np.float32(0.5))


def save_image(path: Path) -> Path:
    """A convolution over `pixels`, float (1, 3, 8, 8), and the mean of each channel: `scores`, (1, 16)."""
    nodes = [
        ("Conv", ["pixels", "kernel"], ["maps"], {}),
        ("GlobalAveragePool", ["maps"], ["means"], {}),
        ("Flatten", ["means"], ["scores"], {}),
    ]
    kernel = np.random.default_rng(0).standard_normal((16, 3, 3, 3)).astype(np.float32)
    return save(path, nodes, {"pixels": ("float", (1, 3, 8, 8))}, {"scores": ("float", (1, 16))}, kernel=kernel)


def save_endless(path: Path) -> Path:
    """A model that loads at once and answers after some days: a loop over `x`, float (1,)."""
    from onnx import TensorProto, helper

    steps, going, value = (
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []), ("v", 1, [1]))
    )
    ends = [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), helper.make_tensor_value_info("v2", 1, [1])]
    nodes = [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["v", "one"], ["v2"])]
    body = helper.make_graph(nodes, "body", [steps, going, value], ends)
    loop = [("Loop", ["count", "true", "x"], ["y"], {"body": body})]
    constants = {"count": np.array(10**12), "true": np.array(True), "one": np.ones(1, np.float32)}
    return save(path, loop, {"x": ("float", (1,))}, {"y": ("float", (1,))}, **constants)


def save_node(path: Path, op: str, *, shape: Shape = (1, 4), opset: int = 20, domain: str = "") -> Path:
    """A single node of any type from `x` to `y`, both float."""
    end = ("float", shape)
    return save(path, [(op, ["x"], ["y"], {"domain": domain})], {"x": end}, {"y": end}, opset=opset)


def save_ort(path: Path, model: Path) -> Path:
    """The model in ORT format."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(model), options)
    return path


def save(
    path: Path,
    nodes: Sequence[tuple[str, list[str], list[str], dict[str, Any]]],
    inputs: dict[str, tuple[str, Shape]],
    outputs: dict[str, tuple[str, Shape]],
    *,
    opset: int = 20,
    outside: str = "",
    **constants: np.ndarray | np.generic,
) -> Path:
    """Any model.

    Args:
        path: Where it is saved.
        nodes: Type, inputs, outputs and attributes of each.
        inputs: Name → ONNX's type and axes.
        outputs: The same.
        opset: Of the standard operators; other domains have version 1.
        outside: Name of a file beside it that holds the constants.
        constants: Name → value.
    """
    import onnx
    from onnx import helper, numpy_helper

    made = [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes]
    ends = [
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.DataType.Value(kind.upper()), shape)
            for name, (kind, shape) in values.items()
        ]
        for values in (inputs, outputs)
    ]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(node.domain, 1) for node in made if node.domain)]
    model = helper.make_model(helper.make_graph(made, path.stem, *ends, weights), opset_imports=opsets, ir_version=10)
    where = {"save_as_external_data": True, "location": outside, "size_threshold": 0} if outside else {}
    onnx.save(model, path, **where)
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
