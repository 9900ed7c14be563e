"""Small models of the kinds that providers treat differently, with requests: a convolutional net and an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

Requests = list[dict[str, np.ndarray]]


def save_net(path: Path) -> tuple[Path, Requests]:
    """Two convolutions, a residual sum and a classifier, on pictures of 3x16x16."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> TensorProto:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return numpy_helper.from_array((rng.standard_normal(shape) * scale).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu1"),
        helper.make_node("Conv", ["b", "w2"], ["c"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "c"], ["d"], "sum"),
        helper.make_node("Relu", ["d"], ["e"], "relu2"),
        helper.make_node("GlobalAveragePool", ["e"], ["f"], "pool"),
        helper.make_node("Flatten", ["f"], ["g"], "flatten"),
        helper.make_node("Gemm", ["g", "w3"], ["logits"], "head", transB=1),
    ]
    _save(
        path,
        nodes,
        [("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [1, 4],
        [weight("w1", 8, 3, 3, 3), weight("w2", 8, 8, 3, 3), weight("w3", 4, 8)],
    )
    return path, [{"x": rng.standard_normal((1, 3, 16, 16), dtype=np.float32)} for _ in range(12)]


def save_encoder(path: Path) -> tuple[Path, Requests]:
    """A table, masked attention and a classifier, on ids of any length, with the shape nodes that exporters leave."""
    rng = np.random.default_rng(0)
    width = 16

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32), name)

    def number(name: str, value: object, dtype: type = np.float32) -> TensorProto:
        return numpy_helper.from_array(np.array(value, dtype), name)

    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["h"], "embed"),
        helper.make_node("MatMul", ["h", "wq"], ["q"], "query"),
        helper.make_node("MatMul", ["h", "wk"], ["k"], "key"),
        helper.make_node("MatMul", ["h", "wv"], ["v"], "value"),
        helper.make_node("Transpose", ["k"], ["kt"], "transpose", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["scores"], "scores"),
        helper.make_node("Cast", ["mask"], ["m"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "m"], ["gone"], "gone"),
        helper.make_node("Mul", ["gone", "least"], ["bias"], "bias"),
        helper.make_node("Unsqueeze", ["bias", "axis"], ["wide"], "wide"),
        helper.make_node("Add", ["scores", "wide"], ["masked"], "masked"),
        helper.make_node("Softmax", ["masked"], ["p"], "softmax", axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["mixed"], "mixed"),
        helper.make_node("Shape", ["mixed"], ["shape"], "shape"),
        helper.make_node("Reshape", ["mixed", "shape"], ["again"], "reshape"),
        helper.make_node("Gather", ["again", "first"], ["cls"], "first", axis=1),
        helper.make_node("Gemm", ["cls", "head"], ["logits"], "head"),
    ]
    ids = [("ids", TensorProto.INT64, ["batch", "sequence"]), ("mask", TensorProto.INT64, ["batch", "sequence"])]
    _save(
        path,
        nodes,
        ids,
        ["batch", 4],
        [
            weight("table", 50, width),
            *(weight(name, width, width) for name in ("wq", "wk", "wv")),
            weight("head", width, 4),
            number("one", 1.0),
            number("least", np.finfo(np.float32).min),
            number("axis", [1], np.int64),
            number("first", 0, np.int64),
        ],
    )
    lengths = [3 + index % 10 for index in range(12)]
    return path, [
        {"ids": rng.integers(0, 50, (1, length)), "mask": np.ones((1, length), np.int64)} for length in lengths
    ]


def save_requests(path: Path, requests: Requests) -> Path:
    """The requests as `edgesft bench --inputs` takes them."""
    np.savez(
        path, **{f"{number}/{name}": array for number, feeds in enumerate(requests) for name, array in feeds.items()}
    )
    return path


def _save(path: Path, nodes: list, inputs: list, output: list, weights: list) -> None:
    graph = helper.make_graph(
        nodes,
        "m",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)],
        weights,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
