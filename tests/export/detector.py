"""A bundle whose model hands scores and boxes on as they are: what of them is seen is for a kit to tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from edgesft.ship.pack import Order, pack
from tests import tiny
from tests.export import bundles
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.test_kinds import rewritten

PLACES = 400


def boxes(folder: Path, labels: list[str], *, more: int = 0, kept: bool = False, **settings: Any) -> Path:
    """A bundle.

    Args:
        folder: Where to.
        labels: Of the boxes.
        more: 1 where there is a score for nothing, too.
        kept: Whether the graph says what is left.
        settings: Of the decoding: `iou`, `most`, `least_score`.
    """
    width = len(labels) + more
    ends = {"scores": ("logits", width, "FLOAT"), "places": ("boxes", 4, "FLOAT"), "mask": ("kept", width, "BOOL")}
    inputs, outputs, nodes, told = [], [], [], {}
    for name, (output, size, dtype) in ends.items():
        shape, kind = [1, PLACES, size], getattr(TensorProto, dtype)
        inputs.append(helper.make_tensor_value_info(name, kind, shape))
        outputs.append(helper.make_tensor_value_info(output, kind, shape))
        nodes.append(helper.make_node("Identity", [name], [output]))
        told[name] = {"shape": shape[1:], "dtype": "float32" if dtype == "FLOAT" else "bool"}
    graph = helper.make_graph(nodes, "boxes", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    contract = {"labels": [], "options": {"inputs": told, "metric": "r2"}}
    run = rewritten(folder, model, contract, tiny.rows(40), "arrays", {})
    bundles.without_text(run)
    np.savez(folder / "golden.npz", **rows(width, seed=0))
    bundle = pack(Order(run, folder / "bundle", inputs=folder / "golden.npz", variants=("model",)), QUIET).path

    def tell(said: dict[str, Any]) -> None:
        after = {"kind": "boxes", "output": "logits", "axis": 2, "classes": len(labels), "boxes": "boxes", **settings}
        said["decoding"], said["labels"] = {**after, **({"kept": "kept"} if kept else {})}, labels

    runs.edit(bundle / "contract.json", tell)
    runs.seal(bundle)
    return bundle


def rows(width: int, *, seed: int) -> dict[str, np.ndarray]:
    """Scores and boxes around a few middles, many of them alike, so that they overlap."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0.2, 0.8, (12, 2))[rng.integers(0, 12, PLACES)] + rng.normal(scale=0.02, size=(PLACES, 2))
    sides = rng.uniform(0.1, 0.3, (PLACES, 2))
    scores = rng.normal(scale=3, size=(PLACES, width)).round(1)
    found = {"scores": scores, "places": np.concatenate([middles, sides], axis=1)}
    arrays = {name: each[np.newaxis].astype(np.float32) for name, each in found.items()}
    return {**arrays, "mask": rng.random((1, PLACES, width)) < 0.3}


def expected(labels: list[str], arrays: dict[str, np.ndarray], said: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer, box after box."""
    scores, places = arrays["scores"][0].astype(float), arrays["places"][0].astype(float)
    shared = scores.shape[1] > len(labels)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    chances = weights / weights.sum(1, keepdims=True) if shared else 1 / (1 + np.exp(-scores))
    found = []
    for label in range(len(labels)):
        own = [(-chances[place, label], place, label) for place in range(PLACES)]
        own = sorted(each for each in own if -each[0] >= said["least_score"])
        if "kept" in said:
            found += [each for each in own if arrays["mask"][0, each[1], label]]
            continue
        left: list[tuple[float, int, int]] = []
        for each in own if shared else own[:300]:
            over = any(_overlap(places[each[1]], places[other[1]]) > said["iou"] for other in left)
            if shared or (not over and len(left) < said["most"]):
                left.append(each)
        found += left
    return [
        {
            "label": labels[label],
            "score": pytest_approx(-chance),
            "box": pytest_approx([*(places[place, :2] - places[place, 2:] / 2), *places[place, 2:]]),
        }
        for chance, place, label in sorted(found)[: said["most"]]
    ]


def pytest_approx(value: Any) -> Any:
    """Equal but for the last digits of single precision."""
    import pytest

    return pytest.approx(value, rel=1e-5, abs=1e-6)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    sides = [
        max(
            0.0,
            min(one[axis] + one[2 + axis] / 2, other[axis] + other[2 + axis] / 2)
            - max(one[axis] - one[2 + axis] / 2, other[axis] - other[2 + axis] / 2),
        )
        for axis in (0, 1)
    ]
    common = sides[0] * sides[1]
    return common / (one[2] * one[3] + other[2] * other[3] - common)
