"""ORT's format, written again: ONNX Runtime writes what it holds in hash tables in an order that changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.ship.ortfile import EDGE, MARK, SCALARS, TABLES, UNION, parse

ALIGNED = 16
"""Weights begin at multiples of this, so that they may be used where they lie."""

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
    return _Writer().finish(parse(memoryview(data), "model.ort", whole=True))


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
