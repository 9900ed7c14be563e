"""Products of one value with several weights as one product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.export.graph import JOINT, initializer

if TYPE_CHECKING:
    import onnx_ir


def merge_products(program: onnx_ir.Model) -> int:
    """Makes one MatMul and a Split of all MatMuls that multiply the same value with weights of their own.

    Queries, keys and values of an attention are such: three products of a short text read and, in int8, round it three
    times.

    Args:
        program: Changed in place.

    Returns:
        How many products are now one of several.
    """
    import onnx_ir.passes.common as passes

    graph, merged = program.graph, 0
    for value in [*graph.inputs, *(output for node in list(graph) for output in node.outputs)]:
        users = {user: weight for user, place in value.uses() if place == 0 and (weight := _weight(user)) is not None}
        if len(users) > 1 and len({weight.shape[0] for weight in users.values()}) == 1:
            _merge(program, value, users)
            merged += len(users)
    passes.TopologicalSortPass()(program)
    passes.RemoveUnusedNodesPass()(program)
    return merged


def _merge(program: onnx_ir.Model, value: onnx_ir.Value, users: Mapping[onnx_ir.Node, np.ndarray]) -> None:
    import onnx_ir

    graph, nodes = program.graph, list(users)
    name = joined([str(node.name) for node in nodes])
    weight = initializer(graph, f"{name}.weight", np.concatenate(list(users.values()), axis=1))
    widths = initializer(graph, f"{name}.widths", np.array([each.shape[1] for each in users.values()], np.int64))
    product = onnx_ir.node("MatMul", [value, weight], name=name)
    product.outputs[0].name, product.outputs[0].type = f"{name}.output", nodes[0].outputs[0].type
    split = onnx_ir.node(
        "Split", [product.outputs[0], widths], attributes={"axis": -1}, num_outputs=len(nodes), name=f"{name}.Split"
    )
    graph.insert_before(nodes[0], [product, split])
    for node, part in zip(nodes, split.outputs, strict=True):
        output = node.outputs[0]
        part.shape, part.type, called = output.shape, output.type, output.name
        output.replace_all_uses_with(part, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        part.name = called


def joined(names: Sequence[str]) -> str:
    """The name of a node that stands for several: of siblings `attention.query+key.MatMul`, else the first one's."""
    parts = [name.rsplit(".", 2) for name in names]
    if any(len(part) < 3 for part in parts) or len({(part[0], part[2]) for part in parts}) > 1:
        return names[0]
    (parent, _, kind), leaves = parts[0], [part[1] for part in parts]
    return f"{parent}.{JOINT.join(leaves)}.{kind}"


def _weight(node: onnx_ir.Node) -> np.ndarray | None:
    """The weights of a product, shape [read, answered]."""
    value = node.inputs[1] if node.op_type == "MatMul" else None
    if value is None or value.const_value is None or value.shape is None or len(value.shape) != 2:
        return None
    found: np.ndarray = value.const_value.numpy()
    return found
