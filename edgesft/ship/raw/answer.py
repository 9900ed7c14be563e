"""The graph that makes an answer of a model's outputs, as the contract's `decoding` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesft.ship.raw.nodes import Nodes, int64

Outputs = Mapping[str, tuple[str, tuple[int | str, ...]]]
"""What a raw model answers: output → its type, `string` among them, and its shape."""


def classes(n: Nodes, said: Mapping[str, Any], score_of: Callable[[str], str]) -> Outputs:
    """The likeliest label, its probability, those of all labels, and whether the input is of a known class."""
    decoding, labels = said["decoding"], said["labels"]
    logits = n("Reshape", _scores(n, score_of, decoding), int64(-1))
    best = n("ArgMax", logits, axis=0, keepdims=1)
    chances = n("Softmax", n("Div", logits, np.float32(decoding["temperature"]).reshape(())), axis=0, name="scores")
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


def _scores(n: Nodes, score_of: Callable[[str], str], decoding: Mapping[str, Any]) -> str:
    return n.cast(score_of(decoding["output"]), "float32")
