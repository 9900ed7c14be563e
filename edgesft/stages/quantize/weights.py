"""Weights in 8 bits that the runtime makes floats of again when it loads the file.

Each is its levels, cast and multiplied by their scales: constants, which ONNX Runtime folds before it optimises, so
that it runs the very graph that it ran before, at the same speed. The file is a quarter; memory is not. It leaves a
DequantizeLinear alone, which would be computed at every call (1.32).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.quantize.plan import weights_of

if TYPE_CHECKING:
    import onnx

LEVELS = 127
"""Largest magnitude of a level."""


def store_weights(model: onnx.ModelProto, names: Collection[str], *, per_channel: bool = True) -> int:
    """Stores weights as int8, rounded to nearest; whatever reads one reads the same.

    Args:
        model: Changed in place.
        names: The weights.
        per_channel: One scale for all that is summed into one output; else one a weight.

    Returns:
        Bytes of the scales.
    """
    import onnx

    graph = model.graph
    floats = {tensor.name: tensor for tensor in graph.initializer if tensor.name in names}
    taken = set(chain(floats, *((*node.input, *node.output) for node in graph.node)))
    made: list[onnx.NodeProto] = []
    stored, size = set[str](), 0
    # What a product sums over decides, where rows of the same table are looked up as well.
    for node in sorted(graph.node, key=lambda each: each.op_type == "Gather"):
        for name in [each for each in weights_of(node, floats) if each not in stored]:
            tensor = floats[name]
            values = onnx.numpy_helper.to_array(tensor)
            levels, scale = rounded(values, _summed(node, values.ndim) if per_channel else None)
            parts = {_free(f"{name}.levels", taken): levels, _free(f"{name}.scale", taken): scale}
            graph.initializer.remove(tensor)
            graph.initializer.extend(onnx.numpy_helper.from_array(value, part) for part, value in parts.items())
            made += _expanded(name, list(parts), _free(f"{name}.float", taken))
            stored.add(name)
            size += scale.nbytes
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _no_inputs(graph, stored)
    return size


def rounded(values: np.ndarray, axes: tuple[int, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """Levels of the values' shape, int8, and their scales, float32, with 1 for the length of each axis that shares one;
    all axes where None are given.
    """
    largest = np.abs(values).max(axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def _summed(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    """The axes of a weight that a node sums over for one output; of a table, all but the one that is indexed."""
    said = {each.name: each.i for each in node.attribute}
    if node.op_type == "MatMul":
        return (rank - 2,)
    if node.op_type == "Gemm":
        return (1,) if said.get("transB") else (0,)
    if node.op_type == "Gather":
        return tuple(axis for axis in range(rank) if axis != said.get("axis", 0) % rank)
    if node.op_type == "ConvTranspose":
        # In groups, inputs are of other outputs each.
        return tuple(range(2, rank)) if said.get("group", 1) > 1 else (0, *range(2, rank))
    return (rank - 1,) if node.op_type in ("LSTM", "GRU") else tuple(range(1, rank))


def _expanded(weight: str, parts: Sequence[str], whole: str) -> list[onnx.NodeProto]:
    """Nodes that make a weight of its levels and scale."""
    import onnx

    levels, scale = parts
    return [
        onnx.helper.make_node("Cast", [levels], [whole], name=f"{weight}.Cast", to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", [whole, scale], [weight], name=f"{weight}.Mul"),
    ]


def _free(name: str, taken: set[str]) -> str:
    """The name, or one like it that nothing has; taken from now on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _no_inputs(graph: onnx.GraphProto, weights: Collection[str]) -> None:
    """Files of before ONNX IR 4 list their weights among the inputs, too."""
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
