"""A graph of others with the names, types and scores that a task has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx
    import onnx_ir


def fitted(
    model: onnx.ModelProto,
    called: Mapping[str, str],
    outputs: Sequence[str],
    feeds: Mapping[str, np.ndarray],
    *,
    scores: bool,
) -> onnx.ModelProto:
    """The same model by other names, without outputs that nobody wants.

    Args:
        model: What others made.
        called: What inputs and outputs are to be called → what they are called.
        outputs: Those that stay, by their new names and in this order.
        feeds: What inputs will be fed with; one of another type is cast where it comes in.
        scores: Whether outputs are scores of classes: softmax goes, for temperatures and students read what is before.
    """
    import onnx_ir

    program = onnx_ir.from_proto(model)
    graph = program.graph
    given = {value.name: value for value in graph.outputs}
    kept = [_before_softmax(given[called[name]]) if scores else given[called[name]] for name in outputs]
    taken = {value.name: value for value in graph.inputs}
    wanted = {name: taken[old] for name, old in called.items() if old in taken and name not in outputs}
    wanted |= dict(zip(outputs, kept, strict=True))
    _free_names(program, wanted)
    for name, value in wanted.items():
        value.name = name
    graph.outputs[:] = kept
    for value in graph.inputs:
        _take(graph, value, np.asarray(feeds[str(value.name)]).dtype)
    return onnx_ir.to_proto(program)


def _before_softmax(value: onnx_ir.Value) -> onnx_ir.Value:
    """What softmax along the last axis made a value of; the value itself where nothing did."""
    node = value.producer()
    if node is None or node.op_type != "Softmax" or node.domain:
        return value
    axis, rank = node.attributes.get("axis"), None if value.shape is None else len(value.shape)
    if axis is not None and axis.as_int() not in (-1, None if rank is None else rank - 1):
        return value
    before = node.inputs[0]
    if before is None or before.producer() is None:
        return value
    before.shape, before.type = before.shape or value.shape, before.type or value.type
    return before


def _free_names(program: onnx_ir.Model, wanted: Mapping[str, onnx_ir.Value]) -> None:
    """Gives other names to values that have a wanted one."""
    for node in program.graph.all_nodes():
        for value in node.outputs:
            if value.name in wanted and value is not wanted[value.name]:
                value.name = f"{value.name}_before"
    for name, tensor in list(program.graph.initializers.items()):
        if name in wanted and tensor is not wanted[name]:
            tensor.name = f"{name}_before"


def _take(graph: onnx_ir.Graph, value: onnx_ir.Value, dtype: np.dtype) -> None:
    """Lets an input take this type, with a cast behind it where it took another."""
    import onnx_ir

    own, fed = value.dtype, onnx_ir.DataType.from_numpy(dtype)
    if own is None or own == fed:
        return
    uses = list(value.uses())
    cast = onnx_ir.node("Cast", [value], {"to": own}, name=f"{value.name}_cast")
    cast.outputs[0].name, cast.outputs[0].shape = f"{value.name}_cast", value.shape
    cast.outputs[0].type, value.type = onnx_ir.TensorType(own), onnx_ir.TensorType(fed)
    for node, place in uses:
        node.replace_input_with(place, cast.outputs[0])
    graph.insert_before(graph[0], cast)
