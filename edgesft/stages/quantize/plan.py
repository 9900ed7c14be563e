"""What a quantization will do, node by node, before it is done."""

from __future__ import annotations

import difflib
import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgesft.errors import InputError, Problem, StageError
from edgesft.tasks.base import FRONT

if TYPE_CHECKING:
    import onnx

Scheme = Literal["int8-dynamic", "int8-static", "int8-weights", "int4", "fp16"]
Backend = Literal["onnxruntime", "neural-compressor"]
Bits = Literal[4, 8]

WEIGHT_INPUTS: Mapping[str, tuple[int, ...]] = {
    "MatMul": (1,),
    "Gemm": (1,),
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gather": (0,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
}
"""Operator → which of its inputs are weights."""

OPERATORS: Mapping[tuple[Scheme, Backend], tuple[str, ...]] = {
    ("int8-dynamic", "onnxruntime"): ("MatMul", "Gemm", "Gather", "LSTM"),
    ("int8-static", "onnxruntime"): ("MatMul", "Gemm", "Gather", "Conv", "ConvTranspose"),
    ("int8-static", "neural-compressor"): ("MatMul", "Gemm", "Gather", "Conv"),
    ("int4", "onnxruntime"): ("MatMul", "Gather"),
    ("int8-weights", "onnxruntime"): tuple(WEIGHT_INPUTS),
    ("fp16", "onnxruntime"): tuple(WEIGHT_INPUTS),
}
"""Operators whose weights each scheme stores in fewer bits. Dynamic convolutions are left out: ConvInteger has no fast
kernel on ONNX Runtime's CPU provider."""

FLOAT_BYTES = 4
"""Of a float weight."""

UNCHANGED: tuple[Scheme, ...] = ("int8-weights", "fp16")
"""Schemes that leave each operator what it is."""


@dataclass(frozen=True)
class QuantizePlan:
    """Which nodes get fewer bits.

    Attributes:
        scheme: What is done to them.
        backend: Who does it.
        per_channel: One scale an output channel; else one a weight.
        quantized: Nodes, in the graph's order.
        excluded: Node with a weight, or a product of activations → why it stays.
        weight_bytes: Bytes of the float weights that only quantized nodes use: what must be gone afterwards.
        four_bit_bytes: Those of them that become 4-bit.
        reduced: Whether weights are rounded to 7 bits, whose products do not saturate.
        tied_bytes: Those of them that are the same as others and are not stored again.
        weights: Names of the weights that get fewer bits, where the scheme is `int8-weights`: what excluded nodes read,
            too, stays.
        scale_bytes: Bytes of their scales.
    """

    scheme: Scheme
    backend: Backend
    per_channel: bool
    quantized: tuple[str, ...]
    excluded: Mapping[str, str] = field(default_factory=dict)
    weight_bytes: int = 0
    four_bit_bytes: int = 0
    reduced: bool = False
    tied_bytes: int = 0
    weights: tuple[str, ...] = ()
    scale_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`."""
        return {
            "scheme": self.scheme,
            "backend": self.backend,
            "per_channel": self.per_channel,
            "quantized": list(self.quantized),
            "excluded": dict(self.excluded),
            "weight_bytes": self.weight_bytes,
            "four_bit_bytes": self.four_bit_bytes,
            "reduced": self.reduced,
            "tied_bytes": self.tied_bytes,
            "weights": list(self.weights),
            "scale_bytes": self.scale_bytes,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuantizePlan:
        """Inverse of `to_json`."""
        return cls(**{**data, "quantized": tuple(data["quantized"]), "weights": tuple(data.get("weights", ()))})


def make_plan(
    source: Path,
    scheme: Scheme,
    *,
    backend: Backend = "onnxruntime",
    per_channel: bool = True,
    table_bits: Bits = 8,
    reduced: bool = False,
    exclude: Sequence[str] = (),
) -> QuantizePlan:
    """Reads a float ONNX file and says what would be quantized.

    Args:
        source: ONNX file.
        scheme: What is to be done.
        backend: Who will do it.
        per_channel: One weight scale an output channel.
        table_bits: Of embedding tables, where the scheme is int8.
        reduced: Whether weights are rounded to 7 bits.
        exclude: fnmatch patterns over node names; each must match a node.

    Raises:
        InputError: A pattern matches no node; the message has near names.
        StageError: Nothing is left to quantize.
    """
    import onnx

    graph = onnx.load(str(source), load_external_data=False).graph
    kept = matched(exclude, [node.name for node in graph.node])
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    operators = OPERATORS[scheme, backend]
    quantized: list[onnx.NodeProto] = []
    excluded: dict[str, str] = {}
    spared = set[str]()
    for node in graph.node:
        if node.op_type not in WEIGHT_INPUTS:
            continue
        reason = _reason(node, scheme, operators, weights, kept)
        if reason is None:
            quantized.append(node)
        elif reason:
            excluded[node.name] = reason
            spared.update(node.input)
    if not quantized:
        raise StageError(f"{scheme} must find weights to quantize. Got none in '{source.name}'; left out: {excluded}")
    names = tuple(node.name for node in quantized)
    if scheme == "int8-weights":
        stored = {name: weights[name] for node in quantized for name in weights_of(node, weights) if name not in spared}
        freed_bytes = sum(FLOAT_BYTES * math.prod(tensor.dims) for tensor in stored.values())
        return QuantizePlan(scheme, backend, per_channel, names, excluded, freed_bytes, weights=tuple(stored))
    four_bits = quantized if scheme == "int4" else [node for node in quantized if node.op_type == "Gather"]
    freed = [_freed_bytes(graph, nodes, weights) for nodes in (quantized, four_bits)]
    small = freed[1] if scheme == "int4" or table_bits == 4 else 0
    return QuantizePlan(scheme, backend, per_channel, names, excluded, freed[0], small, reduced)


def _reason(
    node: onnx.NodeProto,
    scheme: Scheme,
    operators: Sequence[str],
    weights: Mapping[str, onnx.TensorProto],
    kept: Mapping[str, str],
) -> str | None:
    """Why a node stays in float; None if it does not, empty if there is nothing to say about it."""
    if not weights_of(node, weights):
        return "product of activations" if node.op_type in ("MatMul", "Gemm") else ""
    if node.name.startswith(FRONT):
        return "computes features, which stay in float"
    if node.name in kept:
        return f"exclude pattern '{kept[node.name]}'"
    if node.op_type not in operators:
        return f"{scheme} does not cover {node.op_type}"
    if node.op_type == "Gemm" and scheme not in UNCHANGED and not plain_gemm(node):
        return "alpha, beta or transA of the Gemm"
    return None


def weights_of(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> list[str]:
    """Names of what a node multiplies by or looks up in, each of at least two axes and among `weights`; none unless all
    are.
    """
    names = [node.input[place] for place in WEIGHT_INPUTS.get(node.op_type, ())]
    return list(dict.fromkeys(names)) if all(each in weights and len(weights[each].dims) > 1 for each in names) else []


def plain_gemm(node: onnx.NodeProto) -> bool:
    """Whether a Gemm is a MatMul and an Add."""
    import onnx

    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return bool(found.get("alpha", 1.0) == 1.0 and found.get("beta", 1.0) == 1.0 and not found.get("transA", 0))


def matched(patterns: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Name → the first pattern that matches it.

    Raises:
        InputError: A pattern matches nothing.
    """
    found: dict[str, str] = {}
    problems = []
    for pattern in patterns:
        hits = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        for name in hits:
            found.setdefault(name, pattern)
        if not hits:
            near = _near(pattern, names)
            problems.append(
                Problem(
                    f"'exclude' must match a node. Got '{pattern}', which matches none of {len(names)}",
                    f"near names: {', '.join(near)}" if near else None,
                )
            )
    if problems:
        raise InputError(problems)
    return found


def by_graph(patterns: Sequence[str], files: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """Graph → the patterns that match a node of it.

    Raises:
        InputError: A pattern matches nothing in any of them.
    """
    import onnx

    graphs = {name: onnx.load(str(file), load_external_data=False).graph for name, file in files.items()}
    names = {name: [node.name for node in graph.node] for name, graph in graphs.items()}
    matched(patterns, [each for found in names.values() for each in found])
    return {
        graph: tuple(pattern for pattern in patterns if any(fnmatch.fnmatchcase(each, pattern) for each in found))
        for graph, found in names.items()
    }


def _near(pattern: str, names: Sequence[str]) -> list[str]:
    """Names that resemble the pattern's letters, best first."""
    plain = pattern.replace("*", "").replace("?", "")
    return difflib.get_close_matches(plain, list(dict.fromkeys(names)), n=3, cutoff=0.3)


def _freed_bytes(
    graph: onnx.GraphProto, quantized: Iterable[onnx.NodeProto], weights: Mapping[str, onnx.TensorProto]
) -> int:
    """Bytes of the weights that no other node needs in float."""
    chosen = {id(node) for node in quantized}
    mine = {node.input[place] for node in graph.node if id(node) in chosen for place in WEIGHT_INPUTS[node.op_type]}
    others = {name for node in graph.node if id(node) not in chosen for name in node.input}
    return sum(math.prod(weights[name].dims) * FLOAT_BYTES for name in mine - others)
