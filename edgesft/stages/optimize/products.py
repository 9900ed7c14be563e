"""Products of one value with several weights as one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    import onnx_ir
    import onnx_ir.passes.common as passes

    graph, merged = program.graph, 0
    for value in [*graph.inputs, *(output for node in list(graph) for output in node.outputs)]:
        users = [user for user, place in value.uses() if place == 0 and _weight(user) is not None]
        if len(users) < 2 or len({_weight(user).shape[0] for user in users}) > 1:  # type: ignore[union-attr]
            continue
        weights = [_weight(user) for user in users]
        whole = onnx_ir.tensor(np.concatenate(weights, axis=1), name=f"{users[0].name}.merged")  # type: ignore[arg-type]
        sizes = onnx_ir.tensor(np.array([weight.shape[1] for weight in weights], np.int64), name=f"{whole.name}.sizes")  # type: ignore[union-attr]
        stored = [
            onnx_ir.Value(name=each.name, shape=each.shape, type=onnx_ir.TensorType(each.dtype), const_value=each)
            for each in (whole, sizes)
        ]
        for each in stored:
            graph.register_initializer(each)
        product = onnx_ir.node("MatMul", [value, stored[0]], name=users[0].name)
        split = onnx_ir.node(
            "Split",
            [product.outputs[0], stored[1]],
            attributes={"axis": -1},
            num_outputs=len(users),
            name=f"{users[0].name}.Split",
        )
        product.outputs[0].name = f"{whole.name}.output"
        graph.insert_before(users[0], [product, split])
        for user, part in zip(users, split.outputs, strict=True):
            output = user.outputs[0]
            part.shape, part.type, name = output.shape, output.type, output.name
            output.replace_all_uses_with(part, replace_graph_outputs=True)
            graph.remove(user, safe=True)
            part.name = name
        merged += len(users)
    passes.TopologicalSortPass()(program)
    passes.RemoveUnusedNodesPass()(program)
    return merged


def _weight(node: onnx_ir.Node) -> np.ndarray | None:
    """The weights of a product, shape [read, answered]."""
    value = node.inputs[1] if node.op_type == "MatMul" else None
    if value is None or value.const_value is None or value.shape is None or len(value.shape) != 2:
        return None
    found: np.ndarray = value.const_value.numpy()
    return found
