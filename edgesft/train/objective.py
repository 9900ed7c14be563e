"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from edgesft.tasks.base import Task

Objective = Callable[[nn.Module, Mapping[str, Any]], torch.Tensor]
"""`objective(model, batch) -> scalar loss`; the batch holds the model's inputs and `labels` as tensors."""


def inputs_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch without what the model must not see."""
    return {name: value for name, value in batch.items() if name != "labels"}


def task_objective(task: Task, *, label_smoothing: float = 0.0) -> Objective:
    """The task's own loss against the labels."""

    def objective(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        return task.loss(model(**inputs_of(batch)), batch["labels"], label_smoothing=label_smoothing)

    return objective
