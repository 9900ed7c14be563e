"""The contract: all that device code must know besides the weights, and whether the models keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesft.ship.finding import Finding
from edgesft.ship.graph import Graph, Value

CONTRACT = "contract.json"

SCHEMA, SCHEMA_VERSION = "edgesft/contract", 1

SHAPES = {
    "task": str,
    "labels": list,
    "options": dict,
    "inputs": list,
    "outputs": list,
    "states": dict,
    "preparation": dict,
    "decoding": dict,
    "thresholds": dict,
}
"""Key → its type."""


def problems(said: Any) -> list[str]:
    """What is wrong with a contract by itself: keys, types, and whether labels and classes are as many."""
    if not isinstance(said, dict) or (said.get("schema"), said.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        return [f"schema must be '{SCHEMA}' of version {SCHEMA_VERSION}, got another"]
    found = [
        f"{key} must be of type {kind.__name__}" for key, kind in SHAPES.items() if type(said.get(key)) is not kind
    ]
    if found:
        return found
    for key in ("inputs", "outputs"):
        if not all(isinstance(each, dict) and set(each) == {"name", "dtype", "shape"} for each in said[key]):
            found.append(f"{key} must be a list of name, dtype and shape")
    if not all(isinstance(label, str) for label in said["labels"]) or len(set(said["labels"])) != len(said["labels"]):
        found.append("labels must be texts of which none is there twice")
    classes = said["decoding"].get("classes")
    if classes is not None and classes != len(said["labels"]):
        found.append(f"labels must be as many as classes, {classes}, got {len(said['labels'])}")
    for head in said["decoding"].get("heads", ()):
        if not 0 <= head["first"] < head["first"] + head["classes"] <= len(said["labels"]):
            found.append(f"head '{head['name']}' must have labels, got {head}")
    return found


def disagreements(said: Mapping[str, Any], graph: Graph, file: str, fixed: Mapping[str, Any]) -> list[Finding]:
    """Where a model is not what the contract says: names, types, shapes, and as many scores as there are labels.

    Args:
        said: The contract.
        graph: What the model says of itself.
        file: What it is called.
        fixed: Axes of it that were free (`Variant.fixed`).
    """
    sizes = fixed.get("sizes", {})
    wrong = []
    for kind, values in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        promised = [(each["name"], each["dtype"], each["shape"]) for each in said[kind]]
        got = [(each.name, each.dtype, list(each.shape)) for each in values]
        if [name for name, *_ in promised] != [name for name, *_ in got]:
            names = ", ".join(name for name, *_ in promised), ", ".join(name for name, *_ in got)
            wrong.append(f"{kind} must be {names[0]}, which {CONTRACT} says; got {names[1]}")
            continue
        for (name, dtype, shape), (_, own, axes) in zip(promised, got, strict=True):
            if dtype != own:
                wrong.append(f"'{name}' must be of type {dtype}, which {CONTRACT} says; got {own}")
            if not _fits(shape, axes, sizes):
                wrong.append(f"'{name}' must be of shape {shape}, which {CONTRACT} says; got {axes}")
    output, classes = said["decoding"].get("output"), said["decoding"].get("classes")
    for value in graph.outputs:
        axis = said["decoding"].get("axis", 0)
        if classes is not None and value.name == output:
            width = value.shape[axis] if axis < len(value.shape) else None
            if isinstance(width, int) and width != classes:
                wrong.append(f"'{output}' must have a score for each of the {classes} labels, got {width}")
    return [Finding(message, "pack the run again", file, "model") for message in wrong]


def _fits(promised: Sequence[Any], got: Sequence[Any], fixed: Mapping[str, int]) -> bool:
    """Whether a graph's axes are those promised: a free one may have any name, or the size that it was fixed at."""
    if len(promised) != len(got):
        return False
    return all(
        axis == own if isinstance(axis, int) else not isinstance(own, int) or own in fixed.values()
        for axis, own in zip(promised, got, strict=True)
    )


def values(said: Sequence[Value]) -> list[dict[str, Any]]:
    """JSON form of inputs or outputs; an axis without a name is null."""
    return [{"name": each.name, "dtype": each.dtype, "shape": list(each.shape)} for each in said]
