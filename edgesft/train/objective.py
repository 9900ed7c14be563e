"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from edgesft.tasks.base import Task

Objective = Callable[[nn.Module, Mapping[str, Any]], torch.Tensor]
"""`objective(model, batch) -> scalar loss`; the batch holds the model's inputs and `labels` as tensors. Where several
processes train, it is pickled."""


ROWS = "__rows__"
"""In a training batch: which of the training rows these are."""


def inputs_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch without what the model must not see."""
    return {name: value for name, value in batch.items() if name not in ("labels", ROWS)}


def task_objective(task: Task, *, label_smoothing: float = 0.0, class_weights: torch.Tensor | None = None) -> Objective:
    """The task's own loss against the labels.

    Args:
        task: Gives the loss.
        label_smoothing: Share of the target spread over all classes.
        class_weights: One a class, or None where all weigh alike.
    """
    return partial(_task_loss, task=task, label_smoothing=label_smoothing, class_weights=class_weights)


def _task_loss(
    model: nn.Module,
    batch: Mapping[str, Any],
    *,
    task: Task,
    label_smoothing: float,
    class_weights: torch.Tensor | None,
) -> torch.Tensor:
    labels = batch["labels"]
    weights = None if class_weights is None else class_weights.to(labels.device)
    return task.loss(model(**inputs_of(batch)), labels, label_smoothing=label_smoothing, class_weights=weights)
