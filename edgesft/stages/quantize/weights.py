"""Weights in 8 bits that the runtime makes floats of again when it loads the file.

Each is its levels, cast and multiplied by their scales: constants, which ONNX Runtime folds before it optimises, so
that it runs the very graph that it ran before, at the same speed. The file is a quarter; memory is not. It leaves a
DequantizeLinear alone, which would be computed at every call (1.32).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.quantize.plan import WEIGHT_INPUTS

if TYPE_CHECKING:
    import onnx

LEVELS = 127
"""Largest magnitude of a level."""


def store_weights(model: onnx.ModelProto, names: Collection[str], *, per_channel: bool = True) -> None:
    """Stores what nodes have for weights as int8, rounded to nearest; whatever else reads a weight reads the same.

    Args:
        model: Changed in place.
        names: The nodes, all of whose weights are float initializers.
        per_channel: One scale for all that is summed into one output; else one a weight.
    """
    import onnx

    graph = model.graph
    floats = {tensor.name: tensor for tensor in graph.initializer}
    made: list[onnx.NodeProto] = []
    for node in [node for node in graph.node if node.name in names]:
        for place in WEIGHT_INPUTS[node.op_type]:
            tensor = floats.pop(node.input[place], None)
            if tensor is None:
                continue  # stored already, for another node
            values = onnx.numpy_helper.to_array(tensor)
            levels, scale = rounded(values, _summed(node, values.ndim) if per_channel else None)
            parts = {f"{tensor.name}.levels": levels, f"{tensor.name}.scale": scale}
            graph.initializer.remove(tensor)
            graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in parts.items())
            made += _expanded(tensor.name, *parts)
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _no_inputs(graph, {node.output[0] for node in made})


def rounded(values: np.ndarray, axes: tuple[int, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """Levels of the values' shape, int8, and their scales, float32, with 1 for the length of each axis that shares one;
    all axes where None are given.
    """
    largest = np.abs(values).max(axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def _summed(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    """The axes of a weight that a node sums over for one output; of a table, all but the rows."""
    if node.op_type == "MatMul":
        return (rank - 2,)
    if node.op_type == "Gemm":
        return (1,) if any(each.name == "transB" and each.i for each in node.attribute) else (0,)
    if node.op_type == "ConvTranspose":
        return (0, *range(2, rank))
    return (rank - 1,) if node.op_type in ("LSTM", "GRU") else tuple(range(1, rank))


def _expanded(weight: str, levels: str, scale: str) -> list[onnx.NodeProto]:
    """Nodes that make a weight."""
    import onnx

    whole = f"{weight}.float"
    return [
        onnx.helper.make_node("Cast", [levels], [whole], name=f"{weight}.Cast", to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", [whole, scale], [weight], name=f"{weight}.Mul"),
    ]


def _no_inputs(graph: onnx.GraphProto, weights: Collection[str]) -> None:
    """Files of before ONNX IR 4 list their weights among the inputs, too."""
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
