"""A whole recipe on the tiny model, small enough to run in a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests import tiny

PROFILE = {
    "name": "here",
    "description": "this machine, measured in a hurry",
    "providers": [{"name": "CPUExecutionProvider"}],
    "threads": 1,
    "measure": {"samples": 100, "seconds": 0.2, "rounds": 10, "warmup_seconds": 0.5},
}

STAGES = (
    {"stage": "finetune", "epochs": 4, "learning_rate": 3.0e-3, "batch_size": 16, "arithmetic": "fp32"},
    {"stage": "prune", "parameters": 0.7, "epochs": 2, "keep": "always", "channel_multiple": 4},
    {"stage": "distill", "epochs": 1, "keep": "always"},
    {"stage": "quantize", "scheme": "int8-dynamic", "keep": "always"},
)
"""`keep: always` where a model of microseconds leaves the judgement to chance."""


def write(
    folder: Path,
    bert: Path,
    *,
    rows: list[Any] | None = None,
    stages: tuple[dict[str, Any], ...] = STAGES,
    **changes: Any,
) -> Path:
    """Writes a recipe with its profile and data, 500 rows, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows or tiny.rows(500)
    tiny.write_rows(folder / "train.jsonl", rows[:300])
    tiny.write_rows(folder / "dev.jsonl", rows[300:400])
    tiny.write_rows(folder / "test.jsonl", rows[400:])
    (folder / "here.yaml").write_text(yaml.safe_dump(PROFILE), "utf-8")
    recipe = {
        "version": 1,
        "model": str(bert),
        "task": "text-classification",
        "data": {"train": "train.jsonl", "validation": "dev.jsonl", "test": "test.jsonl", "max_length": 32},
        "profile": "here.yaml",
        "budget": {"size_ratio": 0.95, "max_drop": {"accuracy": 0.2}},
        "stages": list(stages),
        **changes,
    }
    place = folder / "recipe.yaml"
    place.write_text(yaml.safe_dump(recipe), "utf-8")
    return place


def held(lines: Iterable[Mapping[str, Any]]) -> bool:
    """Whether each line of a budget passed, or was left open because other work on the machine disturbed the times."""
    return all(
        line["verdict"] == "pass" or (line["reason"] or "").startswith(("latency wandered", "latency drifted"))
        for line in lines
    )
