"""The contract: everything that device code must know besides the weights, and checks that the models keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgesft.ship import wiring
from edgesft.ship.finding import Finding
from edgesft.ship.graph import Graph, Value
from edgesft.ship.shape import NATURAL, POSITIVE, Each, wrong
from edgesft.ship.variant import MODEL

CONTRACT = "contract.json"

SCHEMA, SCHEMA_VERSION = "edgesft/contract", 1

VALUE = {"name": str, "dtype": str, "shape": [(NATURAL, str, None)]}

ENDS = {"inputs": [VALUE], "outputs": [VALUE]}

TOKENS = {
    "columns": [str],
    "max_length": POSITIVE,
    "tokenizer?": str,
    "fields?": Each({"ids", "attention_mask", "type_ids"}),
    "truncation_side?": {"left", "right"},
    "split_special_tokens?": bool,
    "padding?": str,
    "prefix?": str,
}

NUMBERS = (float, [float], None)

PIXELS = {"colour": {"RGB", "BGR", "L"}, "scale": (float, None), "mean": NUMBERS, "std": NUMBERS}
"""How the numbers of a picture are made of whole ones from 0 to 255."""

FEATURE = {"column": str, "kind": {"category", "tags", "number", "hour", "weekday"}, "values": [(str, float)]}
"""A column of which slots are made."""

PREPARATIONS: Mapping[str, Mapping[str, Any]] = {
    "text": TOKENS,
    "words": TOKENS,
    "conversation": {**TOKENS, "template": str, "turns?": Each(Each(str)), "trimmed?": [str]},
    "text-pair": {**TOKENS, "stride": NATURAL},
    "frames": {
        "columns": [str],
        "input": str,
        "rate": POSITIVE,
        "window": POSITIVE,
        "hop": POSITIVE,
        "taper": {"none", "sqrt-hann"},
        "features": {"spectrum", "samples"},
    },
    "items": {
        "columns": [str],
        "input": str,
        "max_length": POSITIVE,
        "excluded?": str,
        "history?": POSITIVE,
        "ratings?": str,
        "scale?": [float],
        "scenario?": str,
        "features?": [FEATURE],
    },
    "symbols": {
        "columns": [str],
        "tokens": str,
        "units": {"characters", "words"},
        "lower": bool,
        "unseen": {"refuse", "skip"},
        "longest": POSITIVE,
        "symbols": [str],
        "speakers": [str],
        "edge": POSITIVE,
        "first": POSITIVE,
    },
    "arrays": {"columns": [str], "arrays?": Each({"shape": [NATURAL], "dtype": str})},
    "image": {
        "columns": [str],
        "colour": {"RGB", "BGR", "L"},
        "resize": (POSITIVE, [POSITIVE], None),
        "resample": {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"},
        "crop": ([POSITIVE], None),
        "scale": (float, None),
        "mean": NUMBERS,
        "std": NUMBERS,
        "layout": {"NCHW", "NHWC"},
        "dtype": {"float32", "float16", "uint8", "int8"},
    },
    "audio": {
        "columns": [str],
        "rate": POSITIVE,
        "seconds": float,
        "window": {"start", "centre"},
        "features": {"mel", "none"},
        "frame": float,
        "hop": float,
        "mels": POSITIVE,
        "low": float,
        "high": (float, None),
        "floor": float,
        "coefficients": (POSITIVE, None),
        "normalise": bool,
    },
}
"""Kind → what else it says; a new kind stands here and in `export/BUNDLE.md`."""

SCORED = {"output": str, "axis": NATURAL, "classes": POSITIVE}

DECODINGS: Mapping[str, Mapping[str, Any]] = {
    "classes": {**SCORED, "activation": {"softmax"}, "temperature": float},
    "tags": {**SCORED, "of_word": {"first token"}},
    "heads": {**SCORED, "activation": {"softmax"}, "heads": [{"name": str, "first": NATURAL, "classes": POSITIVE}]},
    "span": {"start": str, "end": str, "longest": POSITIVE, "candidates": POSITIVE},
    "frames": {
        "output": str,
        "window": POSITIVE,
        "hop": POSITIVE,
        "taper": {"none", "sqrt-hann"},
        "features": {"spectrum", "samples"},
        "gain": float,
    },
    "generation": {
        "output": str,
        "tokens": str,
        "keep?": str,
        "reader?": {"graph": str, "tokens": str},
        "begin?": NATURAL,
        "stop": [NATURAL],
        "positions": (POSITIVE, None),
        "cache": Each(str),
    },
    "diffusion": {
        "input": str,
        "output": str,
        "time": str,
        "next": str,
        "label?": str,
        "times": [POSITIVE],
        "shape": [POSITIVE],
        **PIXELS,
    },
    "latent": {"input": str, "output": str, "shape": [POSITIVE], "pictures": str, **PIXELS},
    "probability": {"output": str, "threshold": float},
    "boxes": {
        **SCORED,
        "boxes": str,
        "iou": float,
        "most": POSITIVE,
        "least_score": float,
        "kept?": str,
    },
    "ranking": {**SCORED, "items": str, "scores": str},
    "mel": {
        "output": str,
        "frames": str,
        "rate": POSITIVE,
        "frame": float,
        "hop": float,
        "mels": POSITIVE,
        "low": float,
        "high": (float, None),
        "iterations": POSITIVE,
    },
    "numbers": {"output": str},
    "none": {},
}
"""The same of decodings."""

SHAPE = {
    "schema": {SCHEMA},
    "schema_version": range(1, SCHEMA_VERSION + 1),
    "task": str,
    "labels": [str],
    "options": Each(
        (
            str,
            float,
            bool,
            None,
            [(str, float, bool, None)],
            [FEATURE],
            Each((str, float, bool, None, Each((str, float, [float])))),
        )
    ),
    **ENDS,
    "graphs?": Each(ENDS),
    "links?": Each(Each(Each(str))),
    "states": Each(str),
    "preparation": Each(
        (str, float, bool, None, [(str, float)], [FEATURE], Each((str, {"shape": [NATURAL], "dtype": str}, Each(str))))
    ),
    "decoding": Each((str, float, None, [(float, Each((str, NATURAL)))], Each(str))),
    "thresholds": {"unknown?": {"accept_above": float, "score": str}},
}


def problems(said: Any) -> list[str]:
    """What is wrong with a contract by itself: keys, types, names, and whether labels and classes are as many."""
    found = list(wrong(said, SHAPE))
    if found:
        return found
    for part, kinds in (("preparation", PREPARATIONS), ("decoding", DECODINGS)):
        kind = said[part].get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            found.append(f"{part}.kind must be one of {', '.join(kinds)}, got {kind!r}")
        else:
            found += wrong(said[part], {**kinds[kind], "kind": {kind}}, part)
    return found or [*wiring.contradictions(said), *_contradictions(said)]


def _contradictions(said: Mapping[str, Any]) -> Iterator[str]:
    """Names that nothing has, and numbers of labels that are not one."""
    labels, decoding = said["labels"], said["decoding"]
    names = {kind: [each["name"] for each in said[kind]] for kind in ("inputs", "outputs")}
    if len(set(labels)) != len(labels):
        yield "labels must be texts of which none is there twice"
    if decoding.get("classes", len(labels)) != len(labels):
        yield f"labels must be as many as classes, {decoding['classes']}, got {len(labels)}"
    for head in decoding.get("heads", ()):
        if head["first"] + head["classes"] > len(labels):
            yield f"head '{head['name']}' must have labels, got {head} of {len(labels)}"
    if decoding.get("temperature", 1) <= 0:
        yield f"decoding.temperature must be above 0, got {decoding['temperature']}"
    for key in ("output", "start", "end", "boxes", "kept", "items", "scores", "frames"):
        if key in decoding and decoding[key] not in names["outputs"]:
            yield f"decoding.{key} must be one of {', '.join(names['outputs'])}, got '{decoding[key]}'"
    pairs = [(f"states.{name}", name, "inputs") for name in said["states"]]
    pairs += [(f"states.{name}", output, "outputs") for name, output in said["states"].items()]
    pairs += [
        (f"preparation.{key}", said["preparation"][key], "given")
        for key in ("input", "excluded", "tokens", "ratings", "scenario")
        if key in said["preparation"]
    ]
    pairs += [(f"preparation.fields.{name}", name, "given") for name in said["preparation"].get("fields", ())]
    for name, output in decoding.get("cache", {}).items():
        pairs += [(f"decoding.cache.{name}", name, "inputs"), (f"decoding.cache.{name}", output, "outputs")]
    pairs += [(f"decoding.{key}", decoding[key], "inputs") for key in ("tokens", "keep") if key in decoding]
    names["given"] = wiring.given(said)
    for place, name, kind in pairs:
        if name not in names[kind]:
            yield f"{place} must be of {', '.join(names[kind])}, got '{name}'"


def disagreements(
    said: Mapping[str, Any], graph: Graph, file: str, fixed: Mapping[str, Any], name: str = MODEL
) -> list[Finding]:
    """Where a graph is not what the contract says: names, types, shapes, and as many scores as there are labels.

    Args:
        said: The contract.
        graph: What it says of itself.
        file: What it is called.
        fixed: Axes of it that were free (`Variant.fixed`).
        name: Which graph of the model it is.
    """
    found = list[str]()
    ends = wiring.ends(said)[name]
    for kind, values in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        promised, got = [each["name"] for each in ends[kind]], [each.name for each in values]
        if promised != got:
            found.append(f"{kind} must be {', '.join(promised)}, which {CONTRACT} says; got {', '.join(got)}")
            continue
        for each, own in zip(ends[kind], values, strict=True):
            if each["dtype"] != own.dtype:
                found.append(f"'{own.name}' must be of type {each['dtype']}, which {CONTRACT} says; got {own.dtype}")
            if not _fits(each["shape"], own.shape, fixed.get("sizes", {})):
                shape = [*own.shape]
                found.append(f"'{own.name}' must be of shape {each['shape']}, which {CONTRACT} says; got {shape}")
    output, axis, known = said["decoding"].get("output"), said["decoding"].get("axis"), widths(said["decoding"])
    for value in graph.outputs if name == MODEL else ():
        if known and value.name == output:
            width = value.shape[axis] if axis < len(value.shape) else 0
            if isinstance(width, int) and width not in known:
                found.append(f"'{output}' must have a score for each of the {known[0]} labels, got {width}")
    return [Finding(message, "pack the run again", file, "model") for message in found]


def widths(decoding: Mapping[str, Any]) -> tuple[int, ...]:
    """How many scores the output may have along its axis: one a label, of boxes also one more; any where empty."""
    classes = decoding.get("classes")
    if classes is None:
        return ()
    return (classes, classes + 1) if decoding["kind"] == "boxes" else (classes,)


def _fits(promised: Sequence[Any], got: Sequence[Any], sizes: Mapping[str, int]) -> bool:
    """Whether a graph's axes are those promised: a free one may have any name, or the size that it was fixed at."""
    if len(promised) != len(got):
        return False
    return all(
        axis == own if isinstance(axis, int) else not isinstance(own, int) or own in sizes.values()
        for axis, own in zip(promised, got, strict=True)
    )


def values(said: Sequence[Value]) -> list[dict[str, Any]]:
    """JSON form of inputs or outputs; an axis without a name is null."""
    return [{"name": each.name, "dtype": each.dtype, "shape": list(each.shape)} for each in said]
