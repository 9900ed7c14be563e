"""Tables that are looked up and, turned, multiplied by: in 8 bits they are stored once again, as they were in 32.

The dynamic quantizer makes two constants of such a table, a catalogue's or a vocabulary's, of which most of a small
model's file is made. The product's has a scale a row of the table, with which rows can be looked up as well. Turning it
is left to the runtime, which does so when it loads the file (constant folding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgesft.stages.quantize.unused import remove_unused

if TYPE_CHECKING:
    import onnx

HALF = 0.501
"""Of a step: how far rounding moves a value, and a little for what is lost in computing it."""

QUANTIZED, SCALE = "_quantized", "_scale"
"""What ONNX Runtime's quantizer adds to a weight's name."""


@dataclass(frozen=True)
class _LookUp:
    """A table in 8 bits with one scale, and the nodes that read rows of it."""

    gather: onnx.NodeProto
    dequantize: onnx.NodeProto
    table: np.ndarray
    step: float


@dataclass(frozen=True)
class _Factor:
    """A product's second factor in 8 bits, shape [values, rows], with a scale a row or one for all."""

    name: str
    levels: np.ndarray
    scale: str
    steps: np.ndarray


def tie(model: onnx.ModelProto) -> dict[str, int]:
    """Lets look-ups read what products read.

    Args:
        model: As the dynamic quantizer leaves it; changed in place.

    Returns:
        Product's float weight, by its name → how many values of the same table are stored no more.
    """
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    factors = _factors(model.graph, arrays)
    spared, turned = dict[str, int](), dict[str, str]()
    for found in _look_ups(model.graph, arrays):
        same = next((each for each in factors if _alike(found, each)), None)
        if same is None:
            continue
        spared[same.name.removesuffix(QUANTIZED)] = found.table.size
        if same.name not in turned:
            turned[same.name] = _turn(model.graph, same)
        _look_up(model.graph, found, turned[same.name], same)
    remove_unused(model.graph)
    return spared


def _factors(graph: onnx.GraphProto, arrays: dict[str, onnx.TensorProto]) -> list[_Factor]:
    from onnx import numpy_helper

    found = {}
    for node in graph.node:
        if node.op_type != "MatMulInteger" or node.input[1] not in arrays:
            continue
        name, zero = node.input[1], node.input[3] if len(node.input) > 3 else ""
        scale = f"{name.removesuffix(QUANTIZED)}{SCALE}"
        levels = numpy_helper.to_array(arrays[name])
        symmetric = zero not in arrays or not numpy_helper.to_array(arrays[zero]).any()
        if scale in arrays and symmetric and levels.dtype == np.int8 and levels.ndim == 2:
            found[name] = _Factor(name, levels, scale, numpy_helper.to_array(arrays[scale]).reshape(-1))
    return list(found.values())


def _look_ups(graph: onnx.GraphProto, arrays: dict[str, onnx.TensorProto]) -> list[_LookUp]:
    from onnx import numpy_helper

    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        after = readers.get(node.output[0], [])
        if node.op_type != "Gather" or node.input[0] not in arrays or len(after) != 1:
            continue
        along_rows = all(attribute.i == 0 for attribute in node.attribute if attribute.name == "axis")
        levels = numpy_helper.to_array(arrays[node.input[0]])
        if after[0].op_type != "DequantizeLinear" or not along_rows or levels.ndim != 2:
            continue
        step, zero = (numpy_helper.to_array(arrays[name]) for name in after[0].input[1:3])
        if step.size == 1:
            table = (levels.astype(np.float32) - zero.astype(np.float32)) * step
            found.append(_LookUp(node, after[0], table, float(step.reshape(()))))
    return found


def _alike(one: _LookUp, other: _Factor) -> bool:
    """Whether both were made of the same numbers, as far as either tells."""
    if one.table.shape != other.levels.shape[::-1]:
        return False
    apart = np.abs(one.table - (other.levels * other.steps).T)
    return bool((apart <= HALF * (one.step + other.steps.reshape(-1, 1))).all())


def _turn(graph: onnx.GraphProto, factor: _Factor) -> str:
    """Puts the table itself in the place of the turned one, and what turns it before the product."""
    from onnx import helper, numpy_helper

    name = f"{factor.name}.rows"
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(factor.levels.T), name))
    graph.node.insert(0, helper.make_node("Transpose", [name], [factor.name], f"{name}.Transpose", perm=[1, 0]))
    graph.initializer.remove(next(each for each in graph.initializer if each.name == factor.name))
    return name


def _look_up(graph: onnx.GraphProto, found: _LookUp, table: str, factor: _Factor) -> None:
    """Rows of the product's table times their scales, in the place of those that the look-up had."""
    from onnx import TensorProto, helper, numpy_helper

    at, answer, ids = found.gather.name, found.dequantize.output[0], found.gather.input[1]
    steps = [helper.make_node("Cast", [found.gather.output[0]], [f"{at}.values"], f"{at}.Cast", to=TensorProto.FLOAT)]
    scale = factor.scale
    if factor.steps.size > 1:
        last = f"{at}.last"
        graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), last))
        steps += [
            helper.make_node("Gather", [scale, ids], [f"{at}.scale"], f"{at}.scale.Gather"),
            helper.make_node("Unsqueeze", [f"{at}.scale", last], [f"{at}.scales"], f"{at}.scale.Unsqueeze"),
        ]
        scale = f"{at}.scales"
    steps.append(helper.make_node("Mul", [f"{at}.values", scale], [answer], f"{at}.scale.Mul"))
    found.gather.input[0] = table
    place = list(graph.node).index(found.dequantize)
    graph.node.remove(found.dequantize)
    for number, made in enumerate(steps):
        graph.node.insert(place + number, made)
