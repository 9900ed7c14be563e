"""What a new head starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Example, Task
from edgesft.tasks.metrics import calibration
from edgesft.train.batches import Steps
from edgesft.train.objective import inputs_of

BATCHES = 64
"""Most batches of training rows that the means are taken of."""


def imprint(
    model: nn.Module,
    classes: int,
    *,
    task: Task,
    processor: Any,
    train: Sequence[Example],
    settings: ResolvedTraining,
    seed: int,
) -> None:
    """Makes each class's weights the mean direction of what its rows give the head, in place.

    That is a classifier before the first step, which helps most where a class has few rows (Qi et al. 2018, arXiv
    1712.07136, "imprinted weights"). Their scale is the one with which the same rows are the likeliest.

    Args:
        model: Ends in a linear layer with an output a class.
        classes: How many there are.
        task: Has one class a row.
        processor: The task's.
        train: Encoded training rows.
        settings: Give the batches.
        seed: Of their order.

    Raises:
        InputError: The task or the model is of another kind.
    """
    labels = task.references(train[:1])
    heads = [each for each in model.modules() if isinstance(each, nn.Linear) and each.out_features == classes]
    if labels.ndim != 1 or labels.dtype.kind != "i" or not heads:
        raise InputError("head: prototypes is for tasks with one class a row and a linear head", "head: random")
    features, truth = _features(model, heads[-1], Steps(task, processor, train, settings.without_noise(), seed))
    directions = nn.functional.normalize(features, dim=1)
    means = torch.stack([directions[truth == index].sum(dim=0) for index in range(classes)])
    weights = nn.functional.normalize(means, dim=1) / features.norm(dim=1).mean()
    scale = 1 / calibration.temperature((features @ weights.T).double().numpy(), truth.numpy())
    with torch.no_grad():
        heads[-1].weight.copy_(weights * scale)
        if heads[-1].bias is not None:
            heads[-1].bias.zero_()


def _features(model: nn.Module, head: nn.Linear, steps: Steps) -> tuple[torch.Tensor, torch.Tensor]:
    """What the head reads of the rows of the first batches, float32 [rows, width], and their classes, int64 [rows]."""
    read: list[torch.Tensor] = []
    truth: list[np.ndarray] = []
    hook = head.register_forward_pre_hook(lambda _, given: read.append(given[0].float()))
    model.eval()
    try:
        with torch.no_grad():
            for step in range(min(BATCHES, len(steps))):
                batch = steps[step]
                model(**inputs_of(batch))
                truth.append(np.asarray(batch["labels"]))
    finally:
        hook.remove()
    return torch.cat(read), torch.from_numpy(np.concatenate(truth)).long()
