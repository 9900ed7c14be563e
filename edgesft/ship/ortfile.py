"""ORT's format, read without a runtime.

The layout is that of `ort.fbs` (onnxruntime 1.32) in flatbuffers (https://flatbuffers.dev/internals/). Read here are
also files of others: offsets that lead nowhere are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.graph import TYPES, Context, Graph, Value

MARK = b"ORTM"
"""File identifier, at bytes 4 to 8."""

DEEPEST = 64

MOST_READ = 4
"""Times its length that a file is read. All references of a list may lead to one table, and those of its lists to
another: a few kilobytes could have a reader go over the same bytes for hours. ONNX Runtime's files share only layouts
and texts. Ten of them were read 0.90 to 1.00 times, a text that several fields share counted once."""

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
    for each in _graphs(graph):
        found.outside += ["external data"] if _external(each) else []
        found.contexts += [Context() for node in each.get("nodes", ()) if node.get("op_type") == "EPContext"]
    return found


def _graphs(graph: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A graph, and every graph inside its nodes."""
    yield graph
    for node in graph.get("nodes", ()):
        for each in node.get("attributes", ()):
            for inner in (*([each["g"]] if "g" in each else []), *each.get("graphs", ())):
                yield from _graphs(inner)


def _external(graph: Mapping[str, Any]) -> bool:
    """Whether a tensor of a graph lies outside the file."""
    tensors = [*graph.get("initializers", ())]
    for node in graph.get("nodes", ()):
        for each in node.get("attributes", ()):
            tensors += [*([each["t"]] if "t" in each else []), *each.get("tensors", ())]
    return any(tensor.get("external_data_offset", -1) >= 0 for tensor in tensors)


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


def parse(data: memoryview, name: str, *, whole: bool = False) -> dict[str, Any]:
    """The file as dictionaries; fields that it leaves out are absent, weights are views of it.

    Args:
        data: Its bytes.
        name: What it is called.
        whole: Whether a field that is not known here is an error, and not passed over.

    Raises:
        RefusedError: It is not of ORT's format, or an offset in it leads outside.
    """
    try:
        if bytes(data[4:8]) != MARK:
            raise ValueError("other marks at its head")
        return _Reader(data, whole).table("InferenceSession", _offset(data, 0))
    except (ValueError, IndexError, struct.error, RecursionError) as error:
        raise RefusedError(Finding(f"must be of ORT's format, got {error}", None, name, "model")) from error


class _Reader:
    """Reads tables of a file; what it has read so far is counted in bytes."""

    def __init__(self, data: memoryview, whole: bool = False) -> None:
        self.data, self.whole, self.depth, self.read = data, whole, 0, 0
        self.texts = dict[int, str]()

    def table(self, kind: str, place: int) -> dict[str, Any]:
        """A table at a place."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"tables more than {DEEPEST} deep")
        layout = place - struct.unpack_from("<i", self.data, place)[0]
        if layout < 0:
            raise ValueError("an offset that leads outside")
        length = struct.unpack_from("<H", self.data, layout)[0]
        self._count(4 + length)
        slots = struct.unpack_from(f"<{max(length - 4, 0) // 2}H", self.data, layout + 4)
        if self.whole and (odd := [slot for slot, inside in enumerate(slots) if inside and slot not in TABLES[kind]]):
            raise ValueError(f"field {odd[0]} of {kind}, which is not known")
        found: dict[str, Any] = {}
        for slot, (field, wanted) in TABLES[kind].items():
            inside = slots[slot] if slot < len(slots) else 0
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
            if target not in self.texts:
                self.texts[target] = bytes(self._span(target, 1)).decode()
            return self.texts[target]
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
        self._count(4 + count * size)
        return self.data[place + 4 : place + 4 + count * size]

    def _count(self, size: int) -> None:
        """Counts bytes that are read."""
        self.read += size
        if self.read > MOST_READ * len(self.data):
            raise ValueError("many references to the same bytes")


def _offset(data: memoryview, place: int) -> int:
    return place + int(struct.unpack_from("<I", data, place)[0])
