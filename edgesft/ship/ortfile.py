"""ORT's format, read and written again: ONNX Runtime writes what it holds in hash tables in an order that changes.

The layout is that of `ort.fbs` (onnxruntime 1.32) in flatbuffers (https://flatbuffers.dev/internals/). Read here are
also files of others: offsets that lead nowhere are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.graph import TYPES, Graph, Value

MARK = b"ORTM"
"""File identifier, at bytes 4 to 8."""

ALIGNED = 16
"""Weights begin at multiples of this, so that they may be used where they lie."""

DEEPEST = 64

SCALARS = {name: struct.Struct(f"<{name}") for name in "?bBiIqQf"}

EDGE = struct.Struct("<Iii")
"""`EdgeEnd`, the one structure: node, and arguments at both ends."""

TABLES: Mapping[str, Mapping[int, tuple[str, str]]] = {
    "InferenceSession": {0: ("ort_version", "text"), 1: ("model", "Model"), 3: ("resolver", "Resolver")},
    "Model": {
        0: ("ir_version", "q"),
        1: ("opset_import", "[OperatorSetId]"),
        2: ("producer_name", "text"),
        3: ("producer_version", "text"),
        4: ("domain", "text"),
        5: ("model_version", "q"),
        6: ("doc_string", "text"),
        7: ("graph", "Graph"),
        8: ("graph_doc_string", "text"),
        9: ("metadata_props", "[StringStringEntry]"),
    },
    "OperatorSetId": {0: ("domain", "text"), 1: ("version", "q")},
    "StringStringEntry": {0: ("key", "text"), 1: ("value", "text")},
    "Graph": {
        0: ("initializers", "[Tensor]"),
        1: ("node_args", "[ValueInfo]"),
        2: ("nodes", "[Node]"),
        3: ("max_node_index", "I"),
        4: ("node_edges", "[NodeEdge]"),
        5: ("inputs", "[text]"),
        6: ("outputs", "[text]"),
        7: ("sparse_initializers", "[SparseTensor]"),
        8: ("runtime_optimizations", "RuntimeOptimizations"),
    },
    "Tensor": {
        0: ("name", "text"),
        1: ("doc_string", "text"),
        2: ("dims", "[q]"),
        3: ("data_type", "i"),
        4: ("raw_data", "[B]"),
        5: ("string_data", "[text]"),
        6: ("external_data_offset", "q"),
    },
    "SparseTensor": {0: ("values", "Tensor"), 1: ("indices", "Tensor"), 2: ("dims", "[q]")},
    "ValueInfo": {0: ("name", "text"), 1: ("doc_string", "text"), 2: ("type", "TypeInfo")},
    "TypeInfo": {0: ("denotation", "text"), 1: ("kind", "B"), 2: ("value", "union")},
    "TensorTypeAndShape": {0: ("elem_type", "i"), 1: ("shape", "Shape")},
    "SequenceType": {0: ("elem_type", "TypeInfo")},
    "MapType": {0: ("key_type", "i"), 1: ("value_type", "TypeInfo")},
    "Shape": {0: ("dim", "[Dimension]")},
    "Dimension": {0: ("value", "DimensionValue"), 1: ("denotation", "text")},
    "DimensionValue": {0: ("kind", "b"), 1: ("size", "q"), 2: ("name", "text")},
    "Node": {
        0: ("name", "text"),
        1: ("doc_string", "text"),
        2: ("domain", "text"),
        3: ("since_version", "i"),
        4: ("index", "I"),
        5: ("op_type", "text"),
        6: ("type", "i"),
        7: ("execution_provider_type", "text"),
        8: ("inputs", "[text]"),
        9: ("outputs", "[text]"),
        10: ("attributes", "[Attribute]"),
        11: ("input_arg_counts", "[i]"),
        12: ("implicit_inputs", "[text]"),
    },
    "NodeEdge": {0: ("node_index", "I"), 1: ("input_edges", "[edge]"), 2: ("output_edges", "[edge]")},
    "Attribute": {
        0: ("name", "text"),
        1: ("doc_string", "text"),
        2: ("type", "i"),
        3: ("f", "f"),
        4: ("i", "q"),
        5: ("s", "text"),
        6: ("t", "Tensor"),
        7: ("g", "Graph"),
        8: ("floats", "[f]"),
        9: ("ints", "[q]"),
        10: ("strings", "[text]"),
        11: ("tensors", "[Tensor]"),
        12: ("graphs", "[Graph]"),
    },
    "RuntimeOptimizations": {0: ("records", "[RecordContainer]")},
    "RecordContainer": {0: ("optimizer_name", "text"), 1: ("records", "[Record]")},
    "Record": {0: ("action_id", "text"), 1: ("nodes", "NodesToOptimize"), 3: ("produced_op_ids", "[text]")},
    "NodesToOptimize": {
        0: ("node_indices", "[I]"),
        1: ("num_inputs", "I"),
        2: ("num_outputs", "I"),
        3: ("has_variadic_input", "?"),
        4: ("has_variadic_output", "?"),
        5: ("num_variadic_inputs", "I"),
        6: ("num_variadic_outputs", "I"),
    },
    "Resolver": {0: ("operators", "[OperatorTypes]")},
    "OperatorTypes": {0: ("op_id", "text"), 1: ("types", "[TypeArguments]")},
    "TypeArguments": {0: ("type", "text"), 1: ("arguments", "[Argument]")},
    "Argument": {0: ("arg_type", "b"), 1: ("index", "I")},
}
"""Table → slot → name and type: a scalar by its letter in `struct`, text, another table, or a list of one."""

UNION = {1: "TensorTypeAndShape", 2: "SequenceType", 3: "MapType"}
"""`TypeInfo.kind` → table of its value."""

SETS = {
    ("Model", "opset_import"): "domain",
    ("Model", "metadata_props"): "key",
    ("Graph", "initializers"): "name",
    ("Graph", "node_args"): "name",
    ("Graph", "node_edges"): "node_index",
    ("Node", "attributes"): "name",
    ("RuntimeOptimizations", "records"): "optimizer_name",
    ("Resolver", "operators"): "op_id",
    ("OperatorTypes", "types"): "type",
}
"""Lists whose order says nothing, and what they are sorted by; where readers search them, by what those search."""


def canonical(data: bytes) -> bytes:
    """The same model in bytes that follow from what it holds.

    Raises:
        RefusedError: It is not of ORT's format.
    """
    return _Writer().finish(parse(memoryview(data), "model.ort"))


def read(data: memoryview, name: str) -> Graph:
    """What a file says of itself.

    Raises:
        RefusedError: It is not of ORT's format.
    """
    model = parse(data, name).get("model", {})
    graph = model.get("graph", {})
    values = {each.get("name", ""): each for each in graph.get("node_args", ())}
    found = Graph(
        metadata={each["key"]: each.get("value", "") for each in model.get("metadata_props", ()) if "key" in each}
    )
    for kind, out in (("inputs", found.inputs), ("outputs", found.outputs)):
        weights = {each.get("name") for each in graph.get("initializers", ())} if kind == "inputs" else set()
        out += [_value(each, values.get(each, {})) for each in graph.get(kind, ()) if each not in weights]
    if _external(graph):
        found.outside.append("external data")
    return found


def _external(graph: Mapping[str, Any]) -> bool:
    """Whether a tensor lies outside the file."""
    tensors = [*graph.get("initializers", ())]
    inner = list[Mapping[str, Any]]()
    for node in graph.get("nodes", ()):
        for each in node.get("attributes", ()):
            tensors += [*([each["t"]] if "t" in each else []), *each.get("tensors", ())]
            inner += [*([each["g"]] if "g" in each else []), *each.get("graphs", ())]
    return any(tensor.get("external_data_offset", -1) >= 0 for tensor in tensors) or any(map(_external, inner))


def _value(name: str, said: Mapping[str, Any]) -> Value:
    kind = said.get("type", {})
    if kind.get("kind") != 1:
        return Value(name, "?", ())
    told = kind.get("value", {})
    axes = [each.get("value", {}) for each in told.get("shape", {}).get("dim", ())]
    shape = [
        axis.get("size", 0) if axis.get("kind") == 1 else (axis.get("name") or None) if axis.get("kind") == 2 else None
        for axis in axes
    ]
    return Value(name, TYPES.get(told.get("elem_type", 0), "?"), tuple(shape))


def parse(data: memoryview, name: str) -> dict[str, Any]:
    """The whole file as dictionaries; fields that it leaves out are absent, weights are views of it.

    Raises:
        RefusedError: It is not of ORT's format, or an offset in it leads outside.
    """
    try:
        if bytes(data[4:8]) != MARK:
            raise ValueError("other marks at its head")
        return _Reader(data).table("InferenceSession", _offset(data, 0))
    except (ValueError, IndexError, struct.error, RecursionError) as error:
        raise RefusedError(Finding(f"must be of ORT's format, got {error}", None, name, "model")) from error


@dataclass
class _Reader:
    data: memoryview
    depth: int = 0

    def table(self, kind: str, place: int) -> dict[str, Any]:
        """A table at a place."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"tables more than {DEEPEST} deep")
        layout = place - struct.unpack_from("<i", self.data, place)[0]
        if layout < 0:
            raise ValueError("an offset that leads outside")
        length = struct.unpack_from("<H", self.data, layout)[0]
        found: dict[str, Any] = {}
        for slot, (field, wanted) in TABLES[kind].items():
            at = 4 + 2 * slot
            inside = struct.unpack_from("<H", self.data, layout + at)[0] if at + 2 <= length else 0
            if inside:
                own = UNION.get(found.get("kind", 0)) if wanted == "union" else wanted
                if own:
                    found[field] = self.value(own, place + inside)
        self.depth -= 1
        return found

    def value(self, kind: str, place: int) -> Any:
        """A field's value."""
        if kind in SCALARS:
            return SCALARS[kind].unpack_from(self.data, place)[0]
        target = _offset(self.data, place)
        if kind == "text":
            return bytes(self._span(target, 1)).decode()
        if not kind.startswith("["):
            return self.table(kind, target)
        inner = kind[1:-1]
        if inner == "B":
            return self._span(target, 1)
        if inner == "edge":
            return list(EDGE.iter_unpack(self._span(target, EDGE.size)))
        if inner in SCALARS:
            return [each[0] for each in SCALARS[inner].iter_unpack(self._span(target, SCALARS[inner].size))]
        count = len(self._span(target, 4)) // 4
        return [self.value(inner, target + 4 + 4 * each) for each in range(count)]

    def _span(self, place: int, size: int) -> memoryview:
        """The bytes of a list whose length stands before it."""
        count = struct.unpack_from("<I", self.data, place)[0]
        if place + 4 + count * size > len(self.data):
            raise ValueError(f"a list of {count} that leads outside")
        return self.data[place + 4 : place + 4 + count * size]


def _offset(data: memoryview, place: int) -> int:
    return place + int(struct.unpack_from("<I", data, place)[0])


class _Writer:
    """Writes dictionaries as `parse` gives them; equal texts are written once."""

    def __init__(self) -> None:
        import flatbuffers

        self._builder = flatbuffers.Builder(1 << 20)
        self._texts: dict[str, int] = {}

    def finish(self, session: Mapping[str, Any]) -> bytes:
        """The file."""
        self._builder.Finish(self._table("InferenceSession", session), file_identifier=MARK)
        return bytes(self._builder.Output())

    def _table(self, kind: str, said: Mapping[str, Any]) -> int:
        builder, fields = self._builder, TABLES[kind]
        ready: dict[int, tuple[str, Any]] = {}
        for slot, (field, wanted) in fields.items():
            if field not in said:
                continue
            value, own = said[field], UNION[said["kind"]] if wanted == "union" else wanted
            if key := SETS.get((kind, field)):
                value = sorted(value, key=lambda each, key=key: _order(each.get(key)))  # type: ignore[misc]
            ready[slot] = (own, value if own in SCALARS else self._object(own, value))
        builder.StartObject(max(fields) + 1)
        for slot, (own, value) in ready.items():
            if own not in SCALARS:
                builder.PrependUOffsetTRelativeSlot(slot, value, 0)
                continue
            # Also a value that is the default's: whether it was written is kept.
            _PREPEND[own](builder, value)
            builder.Slot(slot)
        return int(builder.EndObject())

    def _object(self, kind: str, value: Any) -> int:
        builder = self._builder
        if kind == "text":
            if value not in self._texts:
                self._texts[value] = builder.CreateString(value)
            return self._texts[value]
        if not kind.startswith("["):
            return self._table(kind, value)
        inner = kind[1:-1]
        if inner == "B":
            return self._bytes(bytes(value))
        if inner == "edge":
            builder.StartVector(EDGE.size, len(value), 4)
            for node, source, target in reversed(value):
                builder.Prep(4, EDGE.size)
                builder.PrependInt32(target)
                builder.PrependInt32(source)
                builder.PrependUint32(node)
        elif inner in SCALARS:
            size = SCALARS[inner].size
            builder.StartVector(size, len(value), size)
            for each in reversed(value):
                _PREPEND[inner](builder, each)
        else:
            places = [self._object(inner, each) for each in value]
            builder.StartVector(4, len(places), 4)
            for place in reversed(places):
                builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())

    def _bytes(self, value: bytes) -> int:
        builder = self._builder
        builder.StartVector(1, len(value), ALIGNED)
        builder.head -= len(value)
        builder.Bytes[builder.Head() : builder.Head() + len(value)] = value
        return int(builder.EndVector())


_PREPEND: Mapping[str, Any] = {
    "?": lambda builder, value: builder.PrependBool(value),
    "b": lambda builder, value: builder.PrependInt8(value),
    "B": lambda builder, value: builder.PrependUint8(value),
    "i": lambda builder, value: builder.PrependInt32(value),
    "I": lambda builder, value: builder.PrependUint32(value),
    "q": lambda builder, value: builder.PrependInt64(value),
    "Q": lambda builder, value: builder.PrependUint64(value),
    "f": lambda builder, value: builder.PrependFloat32(value),
}


def _order(key: str | int | None) -> tuple[int, bytes]:
    """Numbers by their value, of which 0 is left out; texts by their bytes, as readers that search compare them."""
    return (0, key.encode()) if isinstance(key, str) else (key or 0, b"")
