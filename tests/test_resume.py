"""kill -9 at any moment, then the same command: nothing is repeated, and the result is the same bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import chain

STAGES = (
    {**chain.STAGES[0], "checkpoint_minutes": 0.001},
    {**chain.STAGES[1], "checkpoint_minutes": 0.001},
    chain.STAGES[3],
)


States = dict[Path, tuple[int, int]]


@dataclass(frozen=True)
class Moment:
    """When to kill: as soon as so many things that match have newly appeared in the store."""

    inside: str
    pattern: str
    count: int = 1


MOMENTS = (
    Moment("fine-tuning", "work/*/checkpoint-*"),
    Moment("the export, its file not yet checked", "incoming/*/model/*.onnx"),
    Moment("the evaluation of what was exported", "objects/*/model/model.onnx"),
    Moment("pruning, the plan made", "work/*/plan.json"),
    Moment("the recovery training", "work/*/recovery/checkpoint-*"),
    Moment("the measuring, the rows of both later stages evaluated", "objects/*/predictions.npy", 2),
)
"""In the order of the run, each a little further than the one before."""


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


def found(store: Path, *patterns: str) -> States:
    """What matches, with what changes when it is written anew: inode and time of modification."""
    places = {}
    for place in (place for pattern in patterns for place in store.glob(pattern)):
        try:
            state = place.stat()
        except FileNotFoundError:  # Renamed since it was listed.
            continue
        places[place] = (state.st_ino, state.st_mtime_ns)
    return places


def finished(store: Path) -> States:
    """All that counts as done: objects with every file in them, and records."""
    return found(store, "objects/*", "objects/*/**/*", "records/*.json")


def waited_for(store: Path, moment: Moment, process: subprocess.Popen[str], before: States) -> bool:
    """Whether the moment came while the process ran."""
    while process.poll() is None:
        if len(found(store, moment.pattern).items() - before.items()) >= moment.count:
            return True
        time.sleep(0.01)
    return False


def test_killed_at_many_moments(whole: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    recipe, expected = whole
    store = tmp_path / "store"
    killed = []
    for moment in MOMENTS:
        before, done = found(store, moment.pattern), finished(store)
        process = command(recipe, tmp_path / "run", store)
        if waited_for(store, moment, process, before):
            os.kill(process.pid, signal.SIGKILL)
            killed.append(moment.inside)
        process.communicate()
        assert done.items() <= finished(store).items(), f"made again before the kill in {moment.inside}"
    assert len(killed) >= 2, killed
    done = finished(store)
    assert {place.name for place in done} >= {"report.json", "model.onnx"}
    process = command(recipe, tmp_path / "run", store)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert done.items() <= finished(store).items(), "made again"
    assert digest(tmp_path / "run") == expected
