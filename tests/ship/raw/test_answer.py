"""The graph of an answer says what the evaluation of a run says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesft.ship.raw import answer, proof
from edgesft.ship.raw.nodes import Nodes
from edgesft.tasks.metrics import calibration
from tests.export.detector import rows
from tests.ship.raw.written import run

KINDS = {"label": "string", "score": "float32", "scores": "float32", "known": "bool", "box": "float32"}


def answered(n: Nodes, outputs: answer.Outputs, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    inputs = {name: (str(each.dtype), each.shape) for name, each in feeds.items()}
    got = run(n, inputs, {f"{name}_": (name, KINDS[name]) for name in outputs})(**feeds)
    return dict(zip(outputs, got, strict=True))


def same(said: dict[str, Any], got: dict[str, np.ndarray], **outputs: np.ndarray) -> None:
    expected = proof.answer(said, outputs, {})
    assert set(got) == set(expected)
    for name, each in expected.items():
        if each.dtype.kind == "f":
            np.testing.assert_allclose(got[name], each, rtol=1e-5, atol=1e-6)
        else:
            assert got[name].tolist() == each.tolist()


@pytest.mark.parametrize("threshold", [None, -5.0, 50.0])
def test_classes(threshold: float | None) -> None:
    said = {
        "labels": ["a", "ü", "c"],
        "decoding": {"kind": "classes", "output": "logits", "axis": 1, "classes": 3, "temperature": 1.7},
        "thresholds": {} if threshold is None else {"unknown": {"accept_above": threshold}},
    }
    for logits in ([[0.1, 2.0, -3.0]], [[80.0, 2.0, -300.0]], [[1.0, 1.0, 1.0]]):
        n = Nodes()
        given = np.asarray(logits, np.float32)
        same(said, answered(n, answer.classes(n, said, str), logits=given), logits=given)


def test_at_the_threshold_itself_a_row_may_be_known_or_not() -> None:
    """It is the score of a row of validation, which single precision rounds either way."""
    decoding = {"kind": "classes", "output": "logits", "axis": 1, "classes": 3, "temperature": 1.0}
    said: dict[str, Any] = {"labels": ["a", "b", "c"], "decoding": decoding}
    given = np.asarray([[0.1, 2.0, -3.0]], np.float32)
    score = float(calibration.known(given.astype(np.float64))[0])
    for apart, told in ((0.0, None), (1e-4, False), (-1e-4, True)):
        said["thresholds"] = {"unknown": {"accept_above": score + apart}}
        found = proof.answer(said, {"logits": given}, {}).get("known")
        assert told is None if found is None else found.tolist() == [told]


def test_heads() -> None:
    parts = [{"name": "h", "first": 0, "classes": 2}, {"name": "g", "first": 2, "classes": 3}]
    decoding = {"kind": "heads", "output": "logits", "axis": 1, "classes": 5, "heads": parts}
    said = {"labels": ["h/a", "h/b", "g/c", "g/d", "g/e"], "decoding": decoding, "thresholds": {}}
    n, given = Nodes(), np.asarray([[3.0, 1.0, 0.5, 0.25, 2.0]], np.float16)
    got = answered(n, answer.heads(n, said, str), logits=given)
    same(said, got, logits=given)
    assert got["label"].tolist() == ["a", "e"]


@pytest.mark.parametrize(("more", "kept"), [(0, False), (0, True), (1, False)])
@pytest.mark.parametrize("least", [0.05, 0.9, 1.0])
def test_boxes(more: int, kept: bool, least: float) -> None:
    decoding = {"kind": "boxes", "output": "logits", "axis": 2, "classes": 3, "boxes": "boxes", "iou": 0.4, "most": 30}
    decoding |= {"least_score": least, **({"kept": "kept"} if kept else {})}
    said = {"labels": ["a", "b", "c"], "decoding": decoding, "thresholds": {}}
    arrays = rows(3 + more, seed=1)
    given = {"logits": arrays["scores"], "boxes": arrays["places"], **({"kept": arrays["mask"]} if kept else {})}
    # No two scores alike: which of such comes first follows from rounding.
    given["logits"] += np.random.default_rng(0).normal(scale=0.01, size=given["logits"].shape).astype(np.float32)
    n = Nodes()
    same(said, answered(n, answer.boxes(n, said, str), **given), **given)
