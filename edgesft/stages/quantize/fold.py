"""Makes a fake-quantized graph small: weights that stand in float behind QuantizeLinear are stored as int8."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.export.graph import initializer

if TYPE_CHECKING:
    import onnx_ir

TABLE_LEVELS = 127
"""Largest magnitude of a symmetric int8 table."""


def fold_weights(program: onnx_ir.Model) -> int:
    """Stores each weight as int8, transposed as its product needs it, and leaves only its DequantizeLinear.

    The pattern is initializer → QuantizeLinear → (Clip) → DequantizeLinear → (Transpose) → MatMul or Gemm. A Gemm on
    such a weight becomes MatMul and Add, since ONNX Runtime has an integer kernel for that and would expand the
    weight at every call otherwise.

    Args:
        program: Changed in place.

    Returns:
        How many weights were folded.
    """
    graph = program.graph
    folded = 0
    for node in [node for node in graph if node.op_type == "DequantizeLinear"]:
        levels = _levels(node.inputs[0])
        if levels is None:
            continue
        output = node.outputs[0]
        for gemm in [user for user in output.consumers() if user.op_type == "Gemm"]:
            _split_gemm(graph, gemm)
        axis = _axis(node, levels.ndim)
        users = list(output.consumers())
        if len(users) == 1 and users[0].op_type == "Transpose":
            order = list(users[0].attributes["perm"].as_ints())
            levels, axis = levels.transpose(order), order.index(axis)
            users[0].outputs[0].replace_all_uses_with(output)
            output.shape = users[0].outputs[0].shape
        node.attributes.add(_attribute("axis", axis))
        node.replace_input_with(0, initializer(graph, f"{node.name}.weight", levels))
        folded += 1
    _drop_unused(program)
    return folded


def quantize_tables(program: onnx_ir.Model, names: Collection[str]) -> None:
    """Stores embedding tables as symmetric int8 with one scale a table; what is looked up is scaled back.

    Args:
        program: Changed in place.
        names: Gather nodes whose table is a float initializer.
    """
    import onnx_ir

    graph = program.graph
    for node in [node for node in graph if node.name in names]:
        table = node.inputs[0].const_value.numpy()
        scale = np.float32(max(float(np.abs(table).max()), float(np.finfo(np.float32).tiny)) / TABLE_LEVELS)
        output = node.outputs[0]
        dequantize = onnx_ir.node(
            "DequantizeLinear",
            [
                output,
                initializer(graph, f"{node.name}.scale", np.array(scale, np.float32)),
                initializer(graph, f"{node.name}.zero", np.array(0, np.int8)),
            ],
            name=f"{node.name}.DequantizeLinear",
        )
        scaled = dequantize.outputs[0]
        scaled.shape, scaled.type, name = output.shape, output.type, output.name
        output.replace_all_uses_with(scaled, replace_graph_outputs=True)
        output.name, scaled.name = f"{name}.int8", name
        dequantize.replace_input_with(0, output)
        output.type = onnx_ir.TensorType(onnx_ir.DataType.INT8)
        node.replace_input_with(0, initializer(graph, f"{node.name}.table", np.rint(table / scale).astype(np.int8)))
        graph.insert_after(node, dequantize)
    _drop_unused(program)


def _levels(value: onnx_ir.Value | None) -> np.ndarray | None:
    """The integers that the nodes before a value make of a float initializer; None where they do not."""
    node = value.producer() if value is not None else None
    low, high = -np.inf, np.inf
    if node is not None and node.op_type == "Clip":
        bounds = [_constant(bound) for bound in node.inputs[1:3]]
        if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
            return None
        low, high = float(bounds[0]), float(bounds[1])
        node = node.inputs[0].producer()
    if node is None or node.op_type != "QuantizeLinear":
        return None
    array, scale, zero = (_constant(part) for part in node.inputs[:3])
    if array is None or scale is None or zero is None:
        return None
    shape = [1] * array.ndim
    if scale.ndim == 1:
        shape[_axis(node, array.ndim)] = scale.size
    limits = np.iinfo(zero.dtype)
    levels = np.rint(array / scale.reshape(shape)) + zero.reshape(shape).astype(np.float32)
    found: np.ndarray = np.clip(levels, max(low, limits.min), min(high, limits.max)).astype(zero.dtype)
    return found


def _constant(value: onnx_ir.Value | None) -> np.ndarray | None:
    """The array of an initializer."""
    if value is None or value.const_value is None:
        return None
    array: np.ndarray = value.const_value.numpy()
    return array


def _axis(node: onnx_ir.Node, dimensions: int) -> int:
    """The axis of a node's scales; 1 by the standard where it is not said."""
    said = node.attributes.get("axis")
    return (1 if said is None else said.as_int()) % dimensions


def _attribute(name: str, value: int) -> onnx_ir.Attr:
    import onnx_ir

    return onnx_ir.AttrInt64(name, value)


def _split_gemm(graph: onnx_ir.Graph, gemm: onnx_ir.Node) -> None:
    """Turns a Gemm that is no more than a product and a bias into Transpose, MatMul and Add."""
    import onnx_ir

    said = {name: attribute.value for name, attribute in gemm.attributes.items()}
    if said.get("alpha", 1.0) != 1.0 or said.get("beta", 1.0) != 1.0 or said.get("transA", 0):
        return
    left, right, *bias = gemm.inputs
    output = gemm.outputs[0]
    made = []
    if said.get("transB", 0):
        made.append(onnx_ir.node("Transpose", [right], {"perm": [1, 0]}, name=f"{gemm.name}.Transpose"))
        right = made[-1].outputs[0]
    made.append(onnx_ir.node("MatMul", [left, right], name=f"{gemm.name}.MatMul"))
    if bias and bias[0] is not None:
        made.append(onnx_ir.node("Add", [made[-1].outputs[0], bias[0]], name=f"{gemm.name}.Add"))
    for node in made:
        node.outputs[0].name, node.outputs[0].type = f"{node.name}.output", output.type
    last = made[-1].outputs[0]
    last.shape, name = output.shape, output.name
    graph.insert_before(gemm, made)
    output.replace_all_uses_with(last, replace_graph_outputs=True)
    graph.remove(gemm, safe=True)
    last.name = name


def _drop_unused(program: onnx_ir.Model) -> None:
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    RemoveUnusedNodesPass()(program)
