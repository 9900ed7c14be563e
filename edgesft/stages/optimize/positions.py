"""What is computed for all positions of a text and then read at the first one alone is computed there alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.export.graph import initializer

if TYPE_CHECKING:
    import onnx_ir

POSITIONS, RANK = 1, 3
"""The axis of values of shape [batch, positions, width]."""

BIAS, QUERIES = 5, 2
"""Which input of MultiHeadAttention is added to the scores, and which of its axes are the queries."""

ALONE = ("Cast", "Erf", "Gelu", "Identity", "Relu", "Sigmoid", "Tanh")
TOGETHER = ("Add", "Div", "Mul", "Sub", "Sum")
"""Operators that treat each value by itself, of one input or several."""

ZERO = "first_position"
"""The constant."""


def first_position(program: onnx_ir.Model) -> int:
    """Takes the first position where it is still cheap: before the last layer's products, not after them.

    A classifier of texts reads its first token, so that of the last layer nothing but its keys and values is needed at
    the others. The answers are the same.

    Args:
        program: Changed in place.

    Returns:
        How many products are computed for one position now.
    """
    import onnx_ir.passes.common as passes

    passes.ShapeInferencePass()(program)
    chosen: dict[onnx_ir.Node, Sequence[int]] = {}
    for node in reversed(list(program.graph)):
        if places := _by_position(node):
            uses = [use for output in node.outputs for use in output.uses()]
            inside = all(place in chosen.get(user, ()) or _takes_first(user) for user, place in uses)
            if uses and inside and not any(output.is_graph_output() for output in node.outputs):
                chosen[node] = places
    products = sum(node.op_type == "MatMul" for node in chosen)
    if products:
        _restrict(program, chosen)
    return products


def _by_position(node: onnx_ir.Node) -> Sequence[int]:
    """Of an operator that treats positions by themselves, which of its inputs have them; empty for others."""
    ranks = [_rank(each) for each in node.inputs]
    if not ranks or ranks[0] is None:
        return ()
    last = "axis" in node.attributes and node.attributes["axis"].as_int() in (-1, RANK - 1)
    alone = (node.op_type in ALONE and not ranks[1:]) or (node.op_type == "LayerNormalization" and last)
    if (alone or (node.op_type == "MatMul" and ranks[1] == 2)) and ranks[0] == RANK:
        return (0,)
    if node.op_type in TOGETHER and RANK in ranks and all(rank in (0, 1, RANK) for rank in ranks):
        wide = [place for place, rank in enumerate(ranks) if rank == RANK]
        lengths = {str(node.inputs[place].shape[POSITIONS]) for place in wide}  # type: ignore[union-attr, index]
        return wide if len(lengths) == 1 and "1" not in lengths else ()
    if node.op_type == "MultiHeadAttention" and ranks[0] == RANK:
        return (0,)
    return ()


def _takes_first(node: onnx_ir.Node) -> bool:
    if node.op_type != "Gather" or "axis" not in node.attributes or node.attributes["axis"].as_int() != POSITIONS:
        return False
    index = node.inputs[1]
    constant = index.const_value.numpy() if index is not None and index.const_value is not None else None
    return constant is not None and constant.shape == () and int(constant) == 0 and _rank(node.inputs[0]) == RANK


def _rank(value: onnx_ir.Value | None) -> int | None:
    return None if value is None or value.shape is None else len(value.shape)


def _restrict(program: onnx_ir.Model, chosen: dict[onnx_ir.Node, Sequence[int]]) -> None:
    """Gives the chosen nodes one position of what the others answer."""
    import onnx_ir

    graph = program.graph
    zero = initializer(graph, ZERO, np.zeros(1, np.int64))
    taken: dict[tuple[onnx_ir.Value, int], onnx_ir.Value] = {}

    def first(value: onnx_ir.Value, axis: int, before: onnx_ir.Node) -> onnx_ir.Value:
        if (value, axis) not in taken:
            name = f"{value.name}.first"
            made = onnx_ir.node("Gather", [value, zero], attributes={"axis": axis}, name=name)
            made.outputs[0].name, made.outputs[0].type = name, value.type
            graph.insert_before(before, made)
            taken[value, axis] = made.outputs[0]
        return taken[value, axis]

    for node in [node for node in graph if node in chosen]:
        for place in chosen[node]:
            value = node.inputs[place]
            if value is not None and value.producer() not in chosen:
                node.replace_input_with(place, first(value, POSITIONS, node))
        if node.op_type == "MultiHeadAttention" and len(node.inputs) > BIAS and node.inputs[BIAS] is not None:
            bias = node.inputs[BIAS]
            spread = bias.producer() if bias is not None else None
            # A mask that was spread over the queries is there for one already.
            narrow = spread.inputs[0] if spread is not None and spread.op_type == "Expand" else None
            one = narrow is not None and narrow.shape is not None and narrow.shape[QUERIES] == 1
            node.replace_input_with(BIAS, narrow if one else first(bias, QUERIES, node))  # type: ignore[arg-type]
        for output in node.outputs:
            if output.shape is not None:
                output.shape = onnx_ir.Shape([*output.shape[:POSITIONS], 1, *output.shape[POSITIONS + 1 :]])
