"""A run and its bundle of every task whose rows kits prepare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml

from edgesft.ship.pack import Order, pack
from edgesft.spec.media import AudioSpec
from edgesft.tasks.contract import Contract
from tests import tiny
from tests.export import bundles
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.test_kinds import by_token, rewritten

SOUNDS = AudioSpec(rate=3000, seconds=0.2, window="centre", mels=12, coefficients=8).model_dump(mode="json")


@dataclass(frozen=True)
class Made:
    """A run and its bundle.

    Attributes:
        run: Folder.
        bundle: Folder.
        contract: Of the run.
        rows: Raw ones.
    """

    run: Path
    bundle: Path
    contract: Contract
    rows: list[Mapping[str, Any]]


def words(folder: Path) -> Made:
    rows = tiny.tagged(40)
    options = {"max_length": 10}
    return _made(folder, by_token(["logits"], 3), "token-classification", ["O", "B-MOOD", "I-MOOD"], options, rows)


def passages(folder: Path) -> Made:
    rows = tiny.answered(40)
    longer = [{**row, "context": f"{row['context']} {'the film is a plot ' * 12}"} for row in rows[:5]]
    options = {"max_length": 32, "stride": 4}
    model = by_token(["start_logits", "end_logits"], 0)
    return _made(folder, model, "question-answering", [], options, [*rows, *longer], {"stride": 4})


def heads(folder: Path) -> Made:
    labels = ["length/long", "length/short", "mood/negative", "mood/positive"]
    options = {"max_length": 16, "heads": {"length": 2, "mood": 2}}
    rows = tiny.headed(40)
    run = rewritten(
        folder, runs.model(classes=4), {"labels": labels, "options": options}, tiny.rows(40), "multi-task", {}
    )
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    for split, name, part in (
        ("train", "train", rows[:20]),
        ("validation", "dev", rows[20:30]),
        ("test", "test", rows[30:]),
    ):
        recipe["data"][split] = {}
        for head in ("mood", "length"):
            own = [{key: row[key] for key in ("text", "label")} for row in part if row["head"] == head]
            recipe["data"][split][head] = str(tiny.write_rows(folder / f"{name}-{head}.jsonl", own))
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return _packed(folder, run, Contract("multi-task", tuple(labels), options), rows)


def sounds(folder: Path) -> Made:
    rows = tiny.filed(tiny.sounded(40), folder / "rows")
    options = {**SOUNDS, "input": "input_values", "temperature": 1.0}
    table = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("ReduceMax", ["input_values", "axes"], ["bands"], keepdims=0),
        onnx.helper.make_node("MatMul", ["bands", "table"], ["logits"]),
    ]
    ends = [{"input_values": ["batch", 1, 11, 8]}, {"logits": ["batch", 2]}]
    axes = np.asarray([1, 2], np.int64)
    model = bundles.built("sounds", nodes, ends, table=table, axes=axes)
    named = [{key: str(row[key]) for key in ("audio", "label")} for row in rows]
    return _made(folder, model, "audio-classification", ["falling", "rising"], options, named, text=False)


def _made(
    folder: Path,
    model: onnx.ModelProto,
    task: str,
    labels: list[str],
    options: dict[str, Any],
    rows: list[Any],
    data: Mapping[str, Any] = {},
    *,
    text: bool = True,
) -> Made:
    run = rewritten(folder, model, {"labels": labels, "options": options}, rows, task, dict(data))
    if not text:
        bundles.without_text(run)
    return _packed(folder, run, Contract(task, tuple(labels), options), rows)


def _packed(folder: Path, run: Path, contract: Contract, rows: list[Any]) -> Made:
    return Made(run, pack(Order(run, folder / "bundle"), QUIET).path, contract, rows)


def write(folder: Path) -> dict[str, Made]:
    """All of them."""
    found = {}
    for make in (words, passages, heads, sounds):
        found[make.__name__] = make(folder / make.__name__)
    return found
