"""What an ONNX graph tells of itself without being run: its precision, and the tables that its inputs index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgesft.measure.model.facts import EIGHT_BITS, FLOATS, OnnxFacts, subgraphs

if TYPE_CHECKING:
    import onnx

INDEXED: Mapping[str, Sequence[tuple[int, int]]] = {
    "Gather": ((1, 0),),
    "GatherBlockQuantized": ((1, 0),),
    "EmbedLayerNormalization": ((0, 2), (1, 4)),
}
"""Operator → its inputs that index the rows of a table: (place of the index, place of the table)."""

SAME_ELEMENTS = frozenset(("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose"))
"""Operators whose output holds their first input's integers and no others."""

SAME_ROWS = frozenset(("Cast", "Identity", "DequantizeLinear"))
"""Operators whose output has their first input's rows."""

FLOAT_LABELS = {"FLOAT": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16", "DOUBLE": "fp64"}


def operators(model: onnx.ModelProto) -> dict[str, int]:
    """Type of operator → nodes, those of subgraphs included; a type of another domain has that in front of it."""
    names = (
        node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        for graph in subgraphs(model.graph)
        for node in graph.node
    )
    return dict(sorted(Counter(names).items()))


def precision(model: onnx.ModelProto, facts: OnnxFacts) -> str | None:
    """A label for the numbers that a graph computes with.

    Returns:
        `fp32`, `fp16`, `bf16` or `fp64` by the type that most weights have; where it is quantized `fp8`, `int4` (or
        other bits), `int8-static` (activations have fixed ranges), `int8-dynamic` (ranges as they come) or
        `int8-weights` (arithmetic in float). None where the graph has neither weights nor a float input.
    """
    import onnx

    if bits := _packed_bits(model):
        return f"int{min(bits)}"
    if {"INT4", "UINT4"} & set(facts.constant_bytes):
        return "int4"
    if any(dtype.startswith("FLOAT8") for dtype in facts.constant_bytes):
        return "fp8"
    operators = set(facts.operators)
    if any(name.startswith(("QuantizeLinear", "QLinear", "QGemm")) for name in operators):
        return "int8-static"
    if any(name.startswith("DynamicQuantize") or "Integer" in name for name in operators):
        return "int8-dynamic"
    if ("DequantizeLinear" in operators and set(EIGHT_BITS) & set(facts.constant_bytes)) or _expanded(model, facts):
        return "int8-weights"
    # A float input counts as one byte: it decides only where there are no weights.
    found = Counter({name: count for name, count in facts.constant_bytes.items() if name in FLOATS})
    names = (onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type) for value in model.graph.input)
    found.update(name for name in names if name in FLOATS)
    return FLOAT_LABELS[found.most_common(1)[0][0]] if found else None


def _packed_bits(model: onnx.ModelProto) -> set[int]:
    """Bits of weights that operators of `com.microsoft` hold packed in bytes; 4 unless the node says otherwise."""
    nodes = (node for graph in subgraphs(model.graph) for node in graph.node)
    return {
        next((attribute.i for attribute in node.attribute if attribute.name == "bits"), 4)
        for node in nodes
        if node.op_type in ("MatMulNBits", "GatherBlockQuantized")
    }


def _expanded(model: onnx.ModelProto, facts: OnnxFacts) -> bool:
    """Whether floats are made of int8 constants, of which most weights are."""
    import onnx

    if facts.constant_bytes.get("INT8", 0) * 4 <= facts.constant_bytes.get("FLOAT", 0):
        return False
    levels = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    cast = {node.output[0] for node in model.graph.node if node.op_type == "Cast" and node.input[0] in levels}
    return any(node.op_type == "Mul" and node.input[0] in cast for node in model.graph.node)


def tables(model: onnx.ModelProto) -> dict[str, int]:
    """Input → rows of the smallest table that it indexes, found by following each input forwards.

    Names are unique over a graph and its subgraphs (ONNX specification, names within a graph), so one pass serves all.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    sources = {value.name: value.name for value in model.graph.input if value.name not in weights}
    shapes: dict[str, Sequence[int]] = {}
    found: dict[str, int] = {}
    for graph in subgraphs(model.graph):
        shapes.update((tensor.name, tensor.dims) for tensor in graph.initializer)
        for node in graph.node:
            if node.op_type == "Constant":
                shapes.update((node.output[0], item.t.dims) for item in node.attribute if item.HasField("t"))
            elif node.op_type in SAME_ELEMENTS and node.input[0] in sources:
                sources[node.output[0]] = sources[node.input[0]]
            elif node.op_type in SAME_ROWS and node.input[0] in shapes:
                shapes[node.output[0]] = shapes[node.input[0]]
            elif node.op_type == "Mul" and all(name in shapes for name in node.input):
                shapes[node.output[0]] = np.broadcast_shapes(*(tuple(shapes[name]) for name in node.input))
            for index, table in INDEXED.get(node.op_type, ()):
                if table < len(node.input) and node.input[index] in sources and node.input[table] in shapes:
                    rows = shapes[node.input[table]][_axis(node)]
                    name = sources[node.input[index]]
                    found[name] = min(rows, found.get(name, rows))
    return found


def _axis(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name in ("axis", "gather_axis")), 0)
