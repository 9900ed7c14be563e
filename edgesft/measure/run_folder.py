"""What a run left in its folder: the model that it ended with, and its contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from edgesft.errors import InputError
from edgesft.tasks import registry
from edgesft.tasks.base import Task
from edgesft.tasks.contract import Contract

MODEL, CONTRACT = "model.onnx", "contract.json"

Kind = TypeVar("Kind", bound=Task)


def open_run(folder: Path, kind: type[Kind]) -> tuple[Contract, Kind]:
    """The contract of a folder's model, and its task.

    Args:
        folder: That a run left.
        kind: What the task must be.

    Raises:
        InputError: It holds no model, or one of another task.
    """
    for name in (MODEL, CONTRACT):
        if not (folder / name).is_file():
            raise InputError(f"run must be a folder with {name}, got '{folder}'", "the folder that a run left")
    contract = Contract.from_json(json.loads((folder / CONTRACT).read_text("utf-8")))
    task = registry.task(contract.task)
    if not isinstance(task, kind):
        names = " or ".join(name for name, each in registry.TASKS.items() if issubclass(each, kind))
        raise InputError(f"run must be of the task {names}, got {contract.task}")
    return contract, task
