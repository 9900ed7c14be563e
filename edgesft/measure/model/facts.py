"""Facts about a saved ONNX file, read from the file itself and not from what wrote it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import StageError

if TYPE_CHECKING:
    import onnx

PROTOBUF_LIMIT_BYTES = 2**31 - 2**26
"""Protobuf cannot hold 2 GiB in one file; beyond this the weights lie beside it. 64 MiB are left for the graph."""

FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")
"""Floating-point types as ONNX spells them."""

EIGHT_BITS = ("INT8", "UINT8")

WEIGHTS = (*FLOATS, *EIGHT_BITS, "INT32")
"""Types that weights come in; int32 holds the biases of quantized layers, int64 holds shapes and indices."""


@dataclass(frozen=True)
class OnnxFacts:
    """What is in an ONNX file.

    Attributes:
        size_bytes: The file and its external data.
        opset: Version of the standard operator set.
        nodes: Nodes, those of subgraphs included.
        operators: Operator → how many nodes.
        inputs: Input → its axes: a size or a name.
        outputs: Output → its axes.
        constant_bytes: Type → bytes of the constants (initializers and Constant nodes).
        parameters: Elements of the constants that are weights; a quantized file's scales are among them.
    """

    size_bytes: int
    opset: int
    nodes: int
    operators: Mapping[str, int]
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: Mapping[str, tuple[int | str, ...]]
    constant_bytes: Mapping[str, int]
    parameters: int

    @property
    def weight_bytes(self) -> int:
        """Bytes of the constants that are weights."""
        return sum(count for dtype, count in self.constant_bytes.items() if dtype in WEIGHTS)

    @property
    def int8_share(self) -> float:
        """Share of the weights' bytes that is 8-bit."""
        return sum(self.constant_bytes.get(dtype, 0) for dtype in EIGHT_BITS) / max(self.weight_bytes, 1)

    def to_json(self) -> dict[str, Any]:
        """JSON form for a stage's details."""
        return {
            "size_bytes": self.size_bytes,
            "opset": self.opset,
            "nodes": self.nodes,
            "operators": dict(self.operators),
            "inputs": {name: list(axes) for name, axes in self.inputs.items()},
            "outputs": {name: list(axes) for name, axes in self.outputs.items()},
            "constant_bytes": dict(self.constant_bytes),
            "parameters": self.parameters,
            "int8_share": round(self.int8_share, 4),
        }


def read_facts(path: Path) -> OnnxFacts:
    """Reads the facts; external data is measured, not loaded.

    Raises:
        StageError: The file is not ONNX, or its external data is missing.
    """
    return facts_of(read_model(path), path)


def read_model(path: Path) -> onnx.ModelProto:
    """The model without its external data.

    Raises:
        StageError: The file is not ONNX.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError) as error:
        raise StageError(f"'{path.name}' must be an ONNX file. Got: {error}") from error


def facts_of(model: onnx.ModelProto, path: Path) -> OnnxFacts:
    """The facts of a model that was read from `path`.

    Raises:
        StageError: Its external data is missing.
    """
    import onnx

    operators: Counter[str] = Counter()
    constant_bytes: Counter[str] = Counter()
    parameters = 0
    for graph in subgraphs(model.graph):
        operators.update(node.op_type for node in graph.node)
        for tensor in constants(graph):
            dtype, count = onnx.TensorProto.DataType.Name(tensor.data_type), math.prod(tensor.dims)
            constant_bytes[dtype] += count * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            parameters += count if dtype in WEIGHTS else 0
    return OnnxFacts(
        size_bytes=path.stat().st_size + sum(_external_size(path, name) for name in external_files(model)),
        opset=next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0),
        nodes=operators.total(),
        operators=dict(sorted(operators.items())),
        inputs={value.name: axes(value) for value in model.graph.input},
        outputs={value.name: axes(value) for value in model.graph.output},
        constant_bytes=dict(sorted(constant_bytes.items())),
        parameters=parameters,
    )


def external_files(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names, beside the model's file, of the files that hold its external data and what a provider compiled."""
    return tuple(
        sorted(
            {
                *(
                    entry.value
                    for graph in subgraphs(model.graph)
                    for tensor in constants(graph)
                    for entry in tensor.external_data
                    if entry.key == "location"
                ),
                *(name for node in model.graph.node if (name := _compiled(node))),
            }
        )
    )


def _compiled(node: onnx.NodeProto) -> str | None:
    """The file of a node that was compiled, where it is not in the node (ONNX Runtime, "EP context design")."""
    said = {each.name: each for each in node.attribute} if node.op_type == "EPContext" else {}
    apart = "embed_mode" in said and said["embed_mode"].i == 0 and "ep_cache_context" in said
    return said["ep_cache_context"].s.decode() or None if apart else None


def subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every graph inside its nodes (branches, loop bodies)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from subgraphs(inner)


def read_inside(graph: onnx.GraphProto) -> set[str]:
    """Names that graphs inside of the graph's nodes read, which are no inputs of those nodes."""
    _, *inside = subgraphs(graph)
    return {name for each in inside for node in each.node for name in node.input}


def constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initializers and the tensors of Constant nodes, subgraphs left out."""
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def axes(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """A value's axes: a size, a name, or `?` where neither is known."""
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or "?")
        for dim in value.type.tensor_type.shape.dim
    )


def _external_size(path: Path, name: str) -> int:
    place = path.parent / name
    if not place.is_file():
        raise StageError(f"'{path.name}' must lie beside its external data. Got no file '{name}'")
    return place.stat().st_size
