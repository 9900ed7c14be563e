"""SmoothQuant: a channel whose values are far larger than the others' hands its scale to the weights that read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.stages.export.checks import open_session
from edgesft.stages.export.graph import initializer, save
from edgesft.tasks.base import Batch

if TYPE_CHECKING:
    import onnx_ir

PASSING = ("AveragePool", "GlobalAveragePool", "MaxPool", "Relu")
"""Operators that answer a multiple of what they read with the same multiple of what they answered."""

PRODUCTS = ("Gemm", "MatMul")

GAIN = 2.0
"""How much smaller the error must become for a multiplication of its own: less is not worth its time."""


@dataclass(frozen=True)
class _Reading:
    """A value, the products or convolutions that read it, and whose answers it is.

    Attributes:
        value: What is read.
        readers: The nodes with weights.
        axis: Of the value's channels.
        makers: Inputs of a node that can be divided by a channel's scale in the value's place, with their channel axes;
            empty where there is none, or something else reads the value.
    """

    value: onnx_ir.Value
    readers: tuple[onnx_ir.Node, ...]
    axis: int
    makers: tuple[tuple[onnx_ir.Node, int, int], ...]


def smooth(
    source: Path, target: Path, requests: Sequence[Batch], nodes: Collection[str], *, strength: float = 0.5
) -> list[str]:
    """Writes a float model whose activations lose less where all channels of a value are rounded alike.

    Channel j of what products and convolutions read is divided by s_j = max |x_j|^a / max |w_j|^(1-a), and their
    weights are multiplied by it (Xiao et al. 2022, arXiv 2211.10438, equations 3 and 4). The division is done by what
    makes the value: a normalisation, a product with its bias or a convolution, where need be through ReLU and pools
    (Nagel et al. 2019, arXiv 1906.04721, section 4.1). Where that has other readers, such as a residual sum, products
    get a multiplication of their own if it makes their error smaller by `GAIN`; convolutions are left alone.

    Args:
        source: Float ONNX file.
        target: File to write.
        requests: What the device sends, at least one.
        nodes: Names of the nodes that will be quantized.
        strength: The exponent a in [0, 1]: how much of the difficulty moves from activations to weights.

    Returns:
        Names of the values that were divided.

    Raises:
        StageError: ONNX Runtime cannot run the model.
    """
    import onnx_ir

    program = onnx_ir.load(source)
    readings = list(_readings(program, nodes))
    seen = _largest(source, target, {str(each.value.name): each.axis for each in readings}, requests)
    done = []
    for reading in readings:
        values = seen[str(reading.value.name)]
        weights = np.max([_read_by(node) for node in reading.readers], axis=0)
        if values.size != weights.size:
            continue
        scales = _scales(values, weights, strength)
        if _gain(values, weights, scales) < (1 if reading.makers else GAIN):
            continue
        _divide(program, reading, scales)
        done.append(str(reading.value.name))
    save(program, target)
    return done


def _readings(program: onnx_ir.Model, nodes: Collection[str]) -> Iterable[_Reading]:
    graph = program.graph
    for value in [*graph.inputs, *(output for node in list(graph) for output in node.outputs)]:
        users = value.uses()
        readers = tuple(user for user, place in users if place == 0 and user.name in nodes and _weighted(user))
        kinds = {reader.op_type for reader in readers}
        if not readers or (len(kinds) > 1 and "Conv" in kinds):
            continue
        alone = len(readers) == len(users) and not value.is_graph_output()
        images = kinds == {"Conv"}
        makers = tuple(_makers(value, images)) if alone else ()
        if makers or not images:
            yield _Reading(value, readers, 1 if images else -1, makers)


def _makers(value: onnx_ir.Value, images: bool) -> list[tuple[onnx_ir.Node, int, int]]:
    """Inputs that scale a value's channels, all of them."""
    node = value.producer()
    while node is not None and node.op_type in PASSING and _only_reader(node.inputs[0]):
        node = node.inputs[0].producer()
    if node is None:
        return []
    if node.op_type == "Add":
        return [] if images else _of_sum(node)
    last = (2, -1)
    of_images = {"BatchNormalization": [(1, -1), last], "Conv": [(1, 0), last]}
    of_rows = {
        "Gemm": [(1, 0 if _attribute(node, "transB") else 1), last],
        "LayerNormalization": [(1, -1), last],
        "MatMul": [(1, -1)],
    }
    return _constant_inputs(node, *(of_images if images else of_rows).get(node.op_type, []))


def _of_sum(node: onnx_ir.Node) -> list[tuple[onnx_ir.Node, int, int]]:
    """Inputs of a bias and of the product that it is added to."""
    for bias, place in ((1, 0), (0, 1)):
        value = node.inputs[place]
        product = value.producer() if value is not None and _only_reader(value) else None
        if product is None or product.op_type != "MatMul" or not (_weighted(product) and _is_constant(node, bias)):
            continue
        if _constant(node, bias).shape[-1:] == _constant(product, 1).shape[1:]:
            return [(node, bias, -1), (product, 1, -1)]
    return []


def _constant_inputs(node: onnx_ir.Node, *places: tuple[int, int]) -> list[tuple[onnx_ir.Node, int, int]]:
    """The inputs at these places with their axes, if all that are there are constants with such an axis."""
    there = [(place, axis) for place, axis in places if place < len(node.inputs) and node.inputs[place] is not None]
    whole = all(_is_constant(node, place) and _constant(node, place).ndim for place, _ in there)
    return [(node, place, axis) for place, axis in there] if whole else []


def _largest(source: Path, target: Path, axes: Mapping[str, int], requests: Sequence[Batch]) -> dict[str, np.ndarray]:
    """Largest magnitude of each channel of some values."""
    import onnx

    model = onnx.load(str(source))
    known = {value.name for value in (*model.graph.input, *model.graph.output)}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in axes if name not in known)
    part = target.with_name(f"{target.name}.part")
    onnx.save(model, str(part))
    session = open_session(part)
    part.unlink()
    names, inputs = [value.name for value in session.get_outputs()], [value.name for value in session.get_inputs()]
    found: dict[str, np.ndarray] = {}
    for request in requests:
        feeds = {name: request[name] for name in inputs}
        values: dict[str, Any] = {**feeds, **dict(zip(names, session.run(names, feeds), strict=True))}
        for name, axis in axes.items():
            array = np.moveaxis(np.abs(values[name]), axis, -1)
            largest = array.reshape(-1, array.shape[-1]).max(axis=0)
            found[name] = np.maximum(found.get(name, 0), largest)
    return found


def _scales(values: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """What each channel is divided by; 1 where it is never anything or nothing reads it."""
    tiny = np.finfo(np.float32).tiny
    found = np.maximum(values, tiny) ** strength / np.maximum(weights, tiny) ** (1 - strength)
    return np.where((values > tiny) & (weights > tiny), found, 1.0).astype(np.float32)


def _gain(values: np.ndarray, weights: np.ndarray, scales: np.ndarray) -> float:
    """How much smaller scales make the error of products: that of rounded values times the weights, and of rounded
    weights times the values.
    """

    def error(values: np.ndarray, weights: np.ndarray) -> float:
        steps = values.max() ** 2 * (weights**2).sum(), weights.max() ** 2 * (values**2).sum()
        return float(np.sqrt(sum(steps)))

    after = error(values / scales, weights * scales)
    return error(values, weights) / after if after else 1.0


def _divide(program: onnx_ir.Model, reading: _Reading, scales: np.ndarray) -> None:
    import onnx_ir

    graph, value = program.graph, reading.value
    for node in reading.readers:
        _replace(graph, node, 1, _times(node, scales))
    for node, place, axis in reading.makers:
        array = _constant(node, place)
        shape = [1] * array.ndim
        shape[axis] = -1
        _replace(graph, node, place, array / scales.reshape(shape))
    if reading.makers:
        return
    name = f"{value.name}.smooth"
    factors = initializer(graph, f"{name}.factors", 1 / scales)
    node = onnx_ir.node("Mul", [value, factors], name=name)
    node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = f"{name}.output", value.type, value.shape
    graph.insert_before(reading.readers[0], node)
    for reader in reading.readers:
        reader.replace_input_with(0, node.outputs[0])


def _replace(graph: onnx_ir.Graph, node: onnx_ir.Node, place: int, array: np.ndarray) -> None:
    """Changes a node's constant, which others may share, for this node alone."""
    import onnx_ir

    value: Any = node.inputs[place]
    if len(value.uses()) == 1:
        value.const_value = onnx_ir.tensor(np.ascontiguousarray(array, np.float32), name=value.name)
    else:
        node.replace_input_with(place, initializer(graph, f"{value.name}.of.{node.name}", array.astype(np.float32)))


def _grouped(node: onnx_ir.Node) -> np.ndarray:
    """A node's weights with their read channels on axes 0 and 2: [groups, answered, read, …] of a convolution, of a
    product [1, answered, read].
    """
    weight = _constant(node, 1)
    if node.op_type != "Conv":
        return (weight if _attribute(node, "transB") else weight.T)[None]
    groups = _attribute(node, "group") or 1
    return weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])


def _read_by(node: onnx_ir.Node) -> np.ndarray:
    """Largest magnitude of the weights that read each channel."""
    array = np.abs(_grouped(node))
    largest: np.ndarray = array.max(axis=(1, *range(3, array.ndim))).ravel()
    return largest


def _times(node: onnx_ir.Node, scales: np.ndarray) -> np.ndarray:
    """A node's weights, those of each read channel times its scale."""
    array = _grouped(node)
    scaled = array * scales.reshape(array.shape[0], 1, array.shape[2], *[1] * (array.ndim - 3))
    if node.op_type == "Conv":
        return scaled.reshape(-1, *array.shape[2:])
    return scaled[0] if _attribute(node, "transB") else scaled[0].T


def _weighted(node: onnx_ir.Node) -> bool:
    """Whether it is a product or a convolution with a constant."""
    return node.op_type in ("Conv", *PRODUCTS) and _is_constant(node, 1) and _constant(node, 1).ndim > 1


def _is_constant(node: onnx_ir.Node, place: int) -> bool:
    value = node.inputs[place] if place < len(node.inputs) else None
    return value is not None and value.const_value is not None


def _constant(node: onnx_ir.Node, place: int) -> np.ndarray:
    value: Any = node.inputs[place]
    array: np.ndarray = value.const_value.numpy()
    return array


def _attribute(node: onnx_ir.Node, name: str) -> int:
    said = node.attributes.get(name)
    return 0 if said is None else int(said.as_int())


def _only_reader(value: onnx_ir.Value | None) -> bool:
    return value is not None and len(value.uses()) == 1 and not value.is_graph_output()
