"""Trainings of the tiny task that several processes do together: `python -m tests.train.together ENCODER FOLDER`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.train import checkpoint, engine, tables, workers
from edgesft.train.distillation import Student, TeacherObjective, hidden_widths
from tests.train import mood
from tests.train.mood import SETTINGS, Mood

PLAIN = SETTINGS.model_copy(update={"epochs": 1.0, "dropout": 0.0, "evaluations": 2})
"""Without dropout, whose numbers fall on other values in another process."""

CASES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "gradual": {"unfreeze": "gradual", "layer_decay": 0.5},
    "lora": {"unfreeze": "lora"},
    "penalties": {"l1": 1e-4, "l2": 1e-3},
    "average": {"average": 0.5},
    "parts": {"accumulation": 3},
    "steps of one row": {"batch_size": 1, "epochs": 0.1},
    "taught": {},
    "tables": {},
    "dropout": {"dropout": 0.1, "checkpoint_minutes": 1e-9},
}
"""Trainings by name: how their settings differ from PLAIN."""


def fit(task: Mood, name: str, work: Path) -> nn.Module:
    """One of CASES."""
    model, changes = task.model(), {}
    if name == "taught":
        teacher = task.model()
        batch = task.task.collate(task.train[:1], task.processor)
        inputs = {each: torch.as_tensor(values) for each, values in batch.items() if each != "labels"}
        model = Student(model, hidden_widths(model, inputs), hidden_widths(teacher, inputs), seed=0)
        changes["objective"] = TeacherObjective(
            task.task, teacher, temperature=2.0, hard_weight=0.5, hidden=model.hidden_loss, hidden_weight=1.0
        )
    if name == "tables":
        model.resize_token_embeddings(tables.FEWEST_ROWS, mean_resizing=False)
    task.fit(model, work, settings=PLAIN.model_copy(update=CASES[name]), **changes)
    return model.student if isinstance(model, Student) else model


def start(processes: int, *arguments: object) -> list[subprocess.Popen[bytes]]:
    """Starts this file so many times, as a launcher would."""
    root = Path(__file__).parents[2]
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = {
        **os.environ, "PYTHONPATH": str(root), "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.train.together", *map(str, arguments)],
            cwd=root,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(processes)
    ]


def main(encoder: Path, folder: Path, names: list[str], killed_at: int) -> None:
    """Trains each and writes its weights into FOLDER; the first process may kill itself after so many steps."""
    with workers.joined() as rank:
        if rank:
            engine.serve()
            return
        task = mood.make(encoder)
        if killed_at:
            _kill_after(killed_at)
        for name in names:
            model = fit(task, name, folder / "work" / name)
            checkpoint.write_weights(model, folder / f"{name}.safetensors")


def _kill_after(steps: int) -> None:
    real, done = torch.optim.AdamW.step, 0

    def step(*given: Any, **named: Any) -> Any:
        nonlocal done
        done += 1
        if done > steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)

    tables.TableAdamW.step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:], int(sys.argv[3]))
