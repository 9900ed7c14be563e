"""A whole run by two processes that a launcher started, its recipe unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import chain
from tests.tasks import nets
from tests.tasks.test_arrays import arrays

ALONE = ("-m", "edgesft")
TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "edgesft")


def ran(recipe: Path, launcher: tuple[str, ...], *settings: str) -> dict[str, Any]:
    """What a run says; its files lie beside the recipe, the store is one for all."""
    output = recipe.parent / f"run{len(launcher)}"
    done = subprocess.run(
        [sys.executable, *launcher, "run", recipe, *settings, "--output", output],
        env={**os.environ, "EDGESFT_STORE": str(recipe.parent / "store"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("verdict: pass") == 1, "one process speaks"
    found: dict[str, Any] = json.loads((output / "results.json").read_text("utf-8"))
    return found


def text(folder: Path, bert: Path) -> Path:
    first = {**chain.STAGES[0], "dropout": 0.0}
    return chain.write(folder, bert, stages=(first, *chain.STAGES[1:]))


def own(folder: Path, bert: Path) -> Path:
    for seed, (name, count) in enumerate((("train", 400), ("dev", 100), ("test", 100))):
        np.savez(folder / f"{name}.npz", **arrays(count, seed))
    stages = (
        {**chain.STAGES[0], "epochs": 10, "learning_rate": 1.0e-2},
        {**chain.STAGES[2], "hidden_weight": 0},
        chain.STAGES[3],
    )
    model = {"factory": "nets:make", "path": str(Path(nets.__file__).parent), "arguments": {"width": 24}}
    data = {"train": "train.npz", "validation": "dev.npz", "test": "test.npz"}
    return chain.write(folder, bert, stages=stages, model=model, task="arrays", data=data, budget={"size_ratio": 0.95})


@pytest.mark.slow
@pytest.mark.parametrize("make", [text, own])
def test_two_processes_run_a_recipe_as_one(make: Any, tmp_path: Path, bert: Path) -> None:
    recipe = make(tmp_path, bert)
    alone, together = ran(recipe, ALONE), ran(recipe, TOGETHER)
    assert [stage["stage"] for stage in together["stages"]] == [stage["stage"] for stage in alone["stages"]]
    for one, other in zip(alone["stages"], together["stages"], strict=True):
        assert other["metrics"]["test"] == pytest.approx(one["metrics"]["test"], abs=0.02)
