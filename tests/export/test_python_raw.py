"""Raw models in the kit in Python: they answer as the kit does that makes tokens and pixels itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesft.ship.pack import Order, pack
from edgesft.ship.raw import answer
from edgesft.ship.raw.nodes import Nodes
from tests.export import detector
from tests.export.kinds import Made
from tests.export.test_python import TEXTS, kit
from tests.ship.conftest import QUIET
from tests.ship.raw.test_answer import answered as in_graph


@pytest.fixture(scope="module")
def raw(
    made: dict[str, Path], runs_of: dict[str, Made], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    """Kind → a bundle with a raw model; read only."""
    folder = tmp_path_factory.mktemp("raw")
    given = {kind: made[kind].parent / "made" / "run" for kind in ("text", "image")}
    given |= {kind: runs_of[kind].run for kind in ("words", "heads")}
    orders = {kind: Order(run, folder / kind, variants=("model",), raw=True) for kind, run in given.items()}
    return {kind: pack(order, QUIET).path for kind, order in orders.items()}


def both(bundle: Path, rows: list[dict[str, Any]]) -> None:
    """Holds the answers against those of the kit's own steps."""
    import kit

    one, other = kit.open_bundle(bundle, raw=True), kit.open_bundle(bundle)
    for row in rows:
        close(one.answer(row), other.answer(row))
    assert not list(one.golden())


def close(ours: Any, theirs: Any) -> None:
    if isinstance(ours, dict) and "score" not in ours:
        assert list(ours) == list(theirs)
        for name in ours:
            close(ours[name], theirs[name])
    elif isinstance(ours, dict):
        assert {**ours, "score": None} == {**theirs, "score": None}
        assert ours["score"] == pytest.approx(theirs["score"], rel=1e-5)
    else:
        assert ours == theirs


def test_texts(raw: Mapping[str, Path]) -> None:
    both(raw["text"], [{"text": text} for text in TEXTS])


def test_heads(raw: Mapping[str, Path]) -> None:
    both(raw["heads"], [{"text": text} for text in TEXTS])


def test_words(raw: Mapping[str, Path], runs_of: dict[str, Made]) -> None:
    rows = [{"tokens": row["tokens"]} for row in runs_of["words"].rows]
    odd = [["Ünder", "漢字", "x.y", "", " ", "the"] * 3, ["[SEP]", "good"], ["two\nlines", "good"], "the film is good"]
    both(raw["words"], [*rows, *({"tokens": each} for each in odd)])


def test_pictures(raw: Mapping[str, Path], made: dict[str, Path], tmp_path: Path) -> None:
    files = [str(file) for file in sorted((made["image"].parent / "rows").rglob("*.png"))]
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 77), np.uint8)).save(tmp_path / "grey.png")
    both(raw["image"], [{"image": file} for file in (*files, str(tmp_path / "grey.png"))])


def test_arrays_of_pictures(raw: Mapping[str, Path]) -> None:
    """Opacity is dropped; what is no picture is refused, and not by a traceback."""
    import kit
    from kit.errors import InputError

    pixels = np.random.default_rng(1).integers(0, 256, (31, 40, 4), np.uint8)
    for opened in (kit.open_bundle(raw["image"], raw=whole) for whole in (True, False)):
        close(opened.answer({"image": pixels}), opened.answer({"image": pixels[..., :3]}))
        for wrong in (pixels[..., :2], pixels.astype(np.float32), pixels[:0]):
            with pytest.raises(InputError, match="pixels must be uint8 of shape"):
                opened.answer({"image": wrong})


@pytest.mark.parametrize("least", [0.3, 1.0])
def test_boxes(least: float) -> None:
    """What a graph says of them is the answer that the kit makes of the same scores, also where nothing is seen."""
    from kit import boxes
    from kit import raw as raws

    decoding = {"kind": "boxes", "output": "logits", "boxes": "places", "classes": 3, "iou": 0.4, "most": 30}
    contract = {"labels": ["a", "b", "c"], "decoding": {**decoding, "axis": 2, "least_score": least}}
    given = {name: each for name, each in detector.rows(3, seed=1).items() if name != "mask"}
    # No two scores alike: which of such comes first follows from rounding.
    given["scores"] += np.random.default_rng(0).normal(scale=0.01, size=given["scores"].shape).astype(np.float32)
    feeds, n = {"logits": given["scores"], "places": given["places"]}, Nodes()
    answered = raws.answer(contract, [(None, in_graph(n, answer.boxes(n, contract, str), **feeds))])
    expected = boxes.seen(contract["decoding"], contract["labels"], feeds)
    assert bool(expected) == (least < 1) and len(answered["boxes"]) == len(expected)
    for ours, theirs in zip(answered["boxes"], expected, strict=True):
        assert ours["label"] == theirs["label"]
        assert [ours["score"], *ours["box"]] == detector.pytest_approx([theirs["score"], *theirs["box"]])


def test_the_command_line(raw: Mapping[str, Path], made: dict[str, Path]) -> None:
    assert json.loads(kit(raw["text"], "--raw").stdout)["variant"] == "raw"
    words = ("--text", "a lovely film", "--golden")
    assert json.loads(kit(raw["text"], "--raw", *words).stdout) == json.loads(kit(raw["text"], *words).stdout)
    measured = ("--measure", "--samples", 4, "--rounds", 2, "--seconds", 0, "--warmup-seconds", 0)
    told = [json.loads(line) for line in kit(raw["text"], "--raw", *measured).stdout.splitlines()]
    assert [each["op"] for each in told].count("time") == 2
    assert "must have a raw model, got none" in kit(made["text"], "--raw", code=4).stderr
