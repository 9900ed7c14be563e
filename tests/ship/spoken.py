"""Runs of models that answer token by token, from what the shared fixtures exported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests import tiny
from tests.ship import runs
from tests.ship.test_kinds import renewed


def run_of(exported: Path, folder: Path, rows: Sequence[Mapping[str, Any]], **data: Any) -> Path:
    """The run of `runs.write`, made one that left an export.

    Args:
        exported: Folder with `model.onnx`, what lies beside it and `contract.json`.
        folder: Where to put it, with its rows beside it.
        rows: Raw ones.
        data: Further settings of the recipe's data.
    """
    run = runs.write(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (run / name).unlink()
    for path in exported.iterdir():
        shutil.copyfile(path, run / path.name)
    for name in ("train", "dev", "test"):
        tiny.write_rows(folder / f"{name}.jsonl", list(rows))  # type: ignore[arg-type]
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["task"] = json.loads((run / "contract.json").read_text("utf-8"))["task"]
    recipe["data"] |= {"max_length": 64, **data}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    renewed(run)
    return run
