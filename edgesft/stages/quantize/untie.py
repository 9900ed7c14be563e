"""Weights that a product shares with an embedding, turned: each gets its own, for only a constant can be quantized.

A decoder whose scores are products with its own embeddings has them once, and a Transpose before the last product. In
8 bits both together are half of what the one was in 32.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.quantize.unused import remove_unused
from edgesft.stages.writing import write_model

if TYPE_CHECKING:
    import onnx


def untied(source: Path, target: Path) -> Path:
    """The file, or one with constants in the place of turned weights.

    Args:
        source: Float ONNX file.
        target: Written where there is something to do.
    """
    import onnx

    model = onnx.load(str(source))
    turned = _turned(model.graph)
    if not turned:
        return source
    for node in turned:
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[0])
        array = np.ascontiguousarray(onnx.numpy_helper.to_array(weight).T)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, node.output[0]))
        model.graph.node.remove(node)
    remove_unused(model.graph)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_model(model, target)
    return target


def _turned(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Transposes of matrices that are weights, which products read as such."""
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2}
    readers: dict[str, list[tuple[str, int]]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            readers.setdefault(name, []).append((node.op_type, place))
    return [
        node
        for node in graph.node
        if node.op_type == "Transpose"
        and node.input[0] in weights
        and all(reader == ("MatMul", 1) for reader in readers.get(node.output[0], [("", 0)]))
    ]
