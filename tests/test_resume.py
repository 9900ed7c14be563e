"""kill -9 at any moment, then the same command: nothing is repeated, and the result is the same bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import chain

STAGES = (
    {**chain.STAGES[0], "checkpoint_minutes": 0.001},
    {**chain.STAGES[1], "checkpoint_minutes": 0.001},
    chain.STAGES[3],
)


def command(recipe: Path, output: Path, store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgesft", "run", recipe, "--output", output],
        env={**os.environ, "EDGESFT_STORE": str(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digest(folder: Path) -> dict[str, str]:
    names = ("model.onnx", "contract.json", "tokenizer.json")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> tuple[Path, dict[str, str]]:
    """The recipe, and the digests of a run that nobody disturbed."""
    home = tmp_path_factory.mktemp("whole")
    recipe = chain.write(home, bert, stages=STAGES)
    done = command(recipe, home / "run", home / "store")
    errors = done.communicate()[1]
    assert done.returncode == 0, errors
    return recipe, digest(home / "run")


def waited_for(store: Path, pattern: str, process: subprocess.Popen[str]) -> bool:
    """Whether something that matches appeared in the store while the process ran."""
    while process.poll() is None:
        if next(store.glob(pattern), None):
            return True
        time.sleep(0.01)
    return False


def test_killed_in_training_and_again_later(whole: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    recipe, expected = whole
    store = tmp_path / "store"
    moments = ("work/*/checkpoint-*", "work/*/recovery/checkpoint-*", "work/*/plan.json")
    kills = 0
    for moment in moments:
        process = command(recipe, tmp_path / "run", store)
        if waited_for(store, moment, process):
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 2
    objects = set((store / "objects").iterdir())
    process = command(recipe, tmp_path / "run", store)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert objects <= set((store / "objects").iterdir())
    assert digest(tmp_path / "run") == expected
