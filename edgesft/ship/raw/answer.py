"""The graph that makes an answer of a model's outputs, as the contract's `decoding` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesft.data.media.image import LEAST_SCORE
from edgesft.ship.raw.nodes import Nodes, int64

Outputs = Mapping[str, tuple[str, tuple[int | str, ...]]]
"""What a raw model answers: output → its type, `string` among them, and its shape."""


def classes(n: Nodes, said: Mapping[str, Any], score_of: Callable[[str], str]) -> Outputs:
    """The likeliest label, its probability, those of all labels, and whether the input is of a known class."""
    decoding, labels = said["decoding"], said["labels"]
    logits = n("Reshape", _scores(n, score_of, decoding), int64(-1))
    best = n("ArgMax", logits, axis=0, keepdims=1)
    chances = n("Softmax", n("Div", logits, np.asarray(decoding["temperature"], np.float32)), axis=0, name="scores")
    n("Gather", chances, best, name="score")
    n("Gather", np.asarray(labels, object), best, name="label")
    found: dict[str, tuple[str, tuple[int | str, ...]]] = {
        "label": ("string", (1,)),
        "score": ("float32", (1,)),
        "scores": ("float32", (len(labels),)),
    }
    if unknown := said["thresholds"].get("unknown"):
        # `contract.json` writes the score out, `thresholds.unknown.score`.
        top = n("ReduceMax", logits)
        total = n("Log", n("ReduceSum", n("Exp", n("Sub", logits, top))))
        sure = n("Add", n("Sub", top, n("ReduceMean", logits)), total)
        n("GreaterOrEqual", sure, np.asarray([unknown["accept_above"]], np.float32), name="known")
        found["known"] = ("bool", (1,))
    return found


def heads(n: Nodes, said: Mapping[str, Any], score_of: Callable[[str], str]) -> Outputs:
    """Of each head the likeliest of its own labels, and its probability."""
    decoding = said["decoding"]
    logits = n("Reshape", _scores(n, score_of, decoding), int64(-1))
    chosen, sure = [], []
    for head in decoding["heads"]:
        first, last = head["first"], head["first"] + head["classes"]
        own = n("Slice", logits, int64(first), int64(last))
        best = n("ArgMax", own, axis=0, keepdims=1)
        names = [label.removeprefix(f"{head['name']}/") for label in said["labels"][first:last]]
        chosen.append(n("Gather", np.asarray(names, object), best))
        sure.append(n("Gather", n("Softmax", own, axis=0), best))
    n("Concat", *chosen, axis=0, name="label")
    n("Concat", *sure, axis=0, name="score")
    count = len(decoding["heads"])
    return {"label": ("string", (count,)), "score": ("float32", (count,))}


def tags(n: Nodes, said: Mapping[str, Any], score_of: Callable[[str], str], lines: str, count: str) -> Outputs:
    """The likeliest label of each line's first token, and its probability; empty and 0 where a line has none.

    Args:
        n: Where to write.
        said: The contract.
        score_of: Output of the model → its scores, of shape [1, tokens, labels].
        lines: Line of each token, int64 of shape [tokens]: -1 for special ones, which are of none.
        count: How many lines there are, int64 of shape [1].
    """
    labels = said["labels"]
    scores = n("Squeeze", _scores(n, score_of, said["decoding"]), int64(0))
    before = n("Concat", int64(-1), n("Slice", lines, int64(0), int64(-1)), axis=0)
    first = n("And", n("GreaterOrEqual", lines, int64(0)), n("Not", n("Equal", lines, before)))
    places = n("Squeeze", n("NonZero", first), int64(0))
    line, own = n("Gather", lines, places), n("Gather", scores, places)
    best = n("ArgMax", own, axis=1, keepdims=0)
    sure = n("ReduceMax", n("Softmax", own, axis=1), int64(1), keepdims=0)
    chosen = n("ScatterElements", n.filled(count, int64(len(labels))), line, best)
    n("Gather", np.asarray([*labels, ""], object), chosen, name="label")
    n("ScatterElements", n.filled(count, np.zeros(1, np.float32)), line, sure, name="score")
    return {"label": ("string", ("words",)), "score": ("float32", ("words",))}


def boxes(n: Nodes, said: Mapping[str, Any], score_of: Callable[[str], str]) -> Outputs:
    """What is where, the surest first: labels, probabilities, and left, top, width and height as shares of sides."""
    decoding, labels = said["decoding"], said["labels"]
    logits = n("Squeeze", _scores(n, score_of, decoding), int64(0))
    places = n.cast(score_of(decoding["boxes"]), "float32")
    shared = n("Greater", n("Gather", n("Shape", logits), np.asarray(1)), np.asarray(len(labels)))
    chances = n.either(shared, lambda g: g("Softmax", logits, axis=1), lambda g: g("Sigmoid", logits), "float32")
    chances = n("Slice", chances, int64(0), int64(len(labels)), int64(1))
    if "kept" in decoding:
        kept = n("Squeeze", score_of(decoding["kept"]), int64(0))
    else:
        all_ = n.filled(n("Shape", chances), np.asarray([True]))
        kept = n.either(shared, all_, lambda g: _kept(g, places, chances, decoding), "bool")
    left = n("Reshape", n("Where", kept, chances, np.asarray(0, np.float32)), int64(-1))
    most = n("Min", int64(decoding["most"]), n("Shape", left))
    # Of equal ones the earlier place comes first, and there the earlier label: `TopK` has it so.
    sure, at = f"{left}/sure", f"{left}/at"
    n.several("TopK", [left, most], [sure, at], axis=0)
    seen = n("GreaterOrEqual", sure, np.asarray(decoding["least_score"], np.float32))
    n("Compress", sure, seen, axis=0, name="score")
    at = n("Compress", at, seen, axis=0)
    n("Gather", np.asarray(labels, object), n("Mod", at, int64(len(labels))), name="label")
    own = n("Gather", n("Squeeze", places, int64(0)), n("Div", at, int64(len(labels))))
    middle, sides = (n("Slice", own, int64(2 * half), int64(2 * half + 2), int64(1)) for half in (0, 1))
    n("Concat", n("Sub", middle, n("Mul", sides, np.asarray(0.5, np.float32))), sides, axis=1, name="box")
    return {"label": ("string", ("boxes",)), "score": ("float32", ("boxes",)), "box": ("float32", ("boxes", 4))}


def _kept(n: Nodes, places: str, chances: str, decoding: Mapping[str, Any]) -> str:
    """Which boxes overlap no surer one of their label that is kept."""
    least = np.asarray([LEAST_SCORE], np.float32)
    limits = (int64(decoding["most"]), np.asarray([decoding["iou"]], np.float32), np.nextafter(least, np.float32(0)))
    turned = n("Unsqueeze", n("Transpose", chances), int64(0))
    found = n("NonMaxSuppression", places, turned, *limits, center_point_box=1)
    # Of each: the picture, the label, the place.
    where = n("Concat", *(n("Slice", found, int64(at), int64(at + 1), int64(1)) for at in (2, 1)), axis=1)
    ones = n.filled(n("Slice", n("Shape", found), int64(0), int64(1)), int64(1))
    marks = n("ScatterND", n.filled(n("Shape", chances), int64(0)), where, ones)
    return n("Greater", marks, np.asarray(0))


def _scores(n: Nodes, score_of: Callable[[str], str], decoding: Mapping[str, Any]) -> str:
    return n.cast(score_of(decoding["output"]), "float32")
