"""Reads facts about an ONNX file from its bytes alone, before any runtime opens it.

A walk over the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) by the field numbers of
`onnx.proto` (ONNX 1.19); weights are stepped over. Reading 100 MB so takes milliseconds, importing onnx half a second.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from edgesft.ship import names
from edgesft.ship.finding import Finding, RefusedError

TYPES = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool"},
    **{10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"},
}
"""`TensorProto.DataType` as numpy spells it."""

CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message → field → the message in it, for all through which a tensor is reached."""

DEEPEST = 64
"""Graphs within graphs; protobuf itself reads 100 messages deep."""

FIXED = "edgesft.fixed"
"""Entry of a model's metadata, `measure.model.fixed.KEY`: numpy is not imported to look at a file."""

VARINT_BYTES = 10

GRAPH, METADATA, INITIALIZER, INPUT, OUTPUT, EXTERNAL, TENSOR_NAME = 7, 14, 5, 11, 12, 13, 8
OP_TYPE, ATTRIBUTE, ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TEXT = 4, 5, 1, 3, 4

EMPTY = memoryview(b"")

Field = tuple[int, "int | memoryview"]


@dataclass(frozen=True)
class Value:
    """An input or output.

    Attributes:
        name: Its name.
        dtype: Of its elements, as numpy spells it; `?` for what is no tensor.
        shape: Each axis: its size, its name, or None.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class Context:
    """A node that a provider compiled before.

    Attributes:
        source: The provider, or what it calls itself; empty where it does not say.
        sdk: Version of the vendor's libraries that compiled it; empty where it does not say.
    """

    source: str = ""
    sdk: str = ""


@dataclass
class Graph:
    """What an ONNX file says.

    Attributes:
        inputs: What is fed.
        outputs: What it answers.
        outside: Files that it reads besides itself: weights, and what a provider compiled.
        metadata: Its own entries.
        contexts: Nodes that were compiled before.
    """

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    contexts: list[Context] = field(default_factory=list)


def read(data: memoryview, name: str) -> Graph:
    """Reads a file.

    Args:
        data: Its bytes.
        name: What it is called.

    Raises:
        RefusedError: They are no ONNX.
    """
    found, weights, seen = Graph(), set[str](), False
    try:
        for number, value in _fields(data):
            if number == GRAPH and isinstance(value, memoryview):
                seen = True
                for inner, piece in _fields(value):
                    if inner in (INPUT, OUTPUT):
                        (found.inputs if inner == INPUT else found.outputs).append(_value(_bytes(piece)))
                    elif inner == INITIALIZER:
                        weights |= {_text(each) for place, each in _fields(_bytes(piece)) if place == TENSOR_NAME}
            elif number == METADATA:
                pair = dict(_fields(_bytes(value)))
                found.metadata[_text(pair.get(1, EMPTY))] = _text(pair.get(2, EMPTY))
        _walk(data, "model", found)
        found.outside = list(dict.fromkeys(found.outside))
    except (ValueError, IndexError) as error:
        _refuse(name, str(error))
    if not seen:
        _refuse(name, "no graph")
    found.inputs = [value for value in found.inputs if value.name not in weights]
    return found


def fixed(told: Graph) -> dict[str, Any]:
    """Axes of a file that were free before, as its metadata have them (`measure.model.fixed`); empty where none was."""
    return dict(json.loads(told.metadata.get(FIXED, "{}")))


def freed(told: Graph) -> Graph:
    """What a file says, with the names of axes that were free in place of the sizes that they were fixed at."""
    said = fixed(told)

    def named(values: list[Value], places: Mapping[str, Mapping[str, str]]) -> list[Value]:
        return [
            replace(
                each, shape=tuple(places.get(each.name, {}).get(str(at), axis) for at, axis in enumerate(each.shape))
            )
            for each in values
        ]

    return replace(
        told, inputs=named(told.inputs, said.get("inputs", {})), outputs=named(told.outputs, said.get("outputs", {}))
    )


def astray(told: Graph, files: Sequence[str]) -> list[Finding]:
    """Files besides its own that a model reads.

    Args:
        told: What it says.
        files: Its own, by their names in the bundle; it is the first.
    """
    places = {name: posixpath.normpath(posixpath.join(posixpath.dirname(files[0]), name)) for name in told.outside}
    return [
        Finding(
            f"must read no file but those of its variant, got '{name}', which it takes data from",
            "do not trust this bundle",
            files[0],
            "model",
        )
        for name, place in places.items()
        if names.wrong(name) or place not in files
    ]


def _walk(data: memoryview, kind: str, found: Graph, depth: int = 0) -> None:
    """Notes the files that a message's tensors and compiled nodes name, and those nodes."""
    if depth > DEEPEST:
        raise ValueError(f"graphs more than {DEEPEST} deep")
    if kind == "tensor":
        for number, value in _fields(data):
            if number == EXTERNAL:
                pair = dict(_fields(_bytes(value)))
                if _text(pair.get(1, EMPTY)) == "location":
                    found.outside.append(_text(pair.get(2, EMPTY)))
        return
    children = CHILDREN[kind]
    if kind == "node" and any(number == OP_TYPE and _text(value) == "EPContext" for number, value in _fields(data)):
        _context(data, found)
    for number, value in _fields(data):
        if number in children:
            _walk(_bytes(value), children[number], found, depth + 1)


def _context(node: memoryview, found: Graph) -> None:
    """Notes a node that was compiled, and its file where it is not in it (ONNX Runtime, "EP context design")."""
    said: dict[str, Any] = {}
    for number, value in _fields(node):
        if number == ATTRIBUTE:
            pairs = dict(_fields(_bytes(value)))
            said[_text(pairs.get(ATTRIBUTE_NAME, EMPTY))] = pairs

    def text(name: str) -> str:
        return _text(said.get(name, {}).get(ATTRIBUTE_TEXT, EMPTY))

    found.contexts.append(Context(text("source"), text("ep_sdk_version")))
    if said.get("embed_mode", {}).get(ATTRIBUTE_INT, 1) == 0:
        file = text("ep_cache_context")
        # A partition that shares another one's binary names none.
        if file or said.get("main_context", {}).get(ATTRIBUTE_INT, 1):
            found.outside.append(file)


def _value(data: memoryview) -> Value:
    name, dtype, shape = "", "?", list[int | str | None]()
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for kind, tensor in _fields(_bytes(value)):
                if kind == 1:
                    dtype, shape = _tensor_type(_bytes(tensor))
    return Value(name, dtype, tuple(shape))


def _tensor_type(data: memoryview) -> tuple[str, list[int | str | None]]:
    dtype, shape = "?", list[int | str | None]()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            dtype = TYPES.get(value, "?")
        elif number == 2:
            for _, axis in _fields(_bytes(value)):
                said = dict(_fields(_bytes(axis)))
                size = said.get(1)
                shape.append(size if isinstance(size, int) else _text(said[2]) if said.get(2) else None)
    return dtype, shape


def _fields(data: memoryview) -> Iterator[Field]:
    """Number and value of each field of a message: a whole number, or the bytes of what has a length."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
        elif kind == 2:
            length, place = _varint(data, place)
            if place + length > end:
                raise ValueError(f"a field of {length} bytes where {end - place} are left")
            yield tag >> 3, data[place : place + length]
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
            if place > end:
                raise ValueError("a number that is cut short")
        else:
            raise ValueError(f"a field of wire type {kind}")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = data[place]
    place += 1
    if value < 128:
        return value, place
    value &= 127
    for shift in range(7, 7 * VARINT_BYTES, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number of more than 10 bytes")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()


def _refuse(name: str, got: str) -> NoReturn:
    raise RefusedError(Finding(f"must be an ONNX file, got {got}", "pack the run again", name, "model"))
