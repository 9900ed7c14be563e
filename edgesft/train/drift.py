"""How far the answers of a changed model are from those of the whole one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from edgesft.tasks.base import Task
from edgesft.train.losses import soft_targets

Drift = Callable[[Any, Any, Mapping[str, Any]], torch.Tensor]
"""`drift(outputs, the whole model's, batch) -> scalar`."""


def drift_of(task: Task) -> Drift:
    """What a student would have to learn from the whole model: the divergence of its answers in nats, see
    `losses.soft_targets`; of quantities the squared difference, in variances of the whole model's.
    """

    def drift(outputs: Any, whole: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        ours, theirs = task.distributions(outputs, batch).float(), task.distributions(whole, batch).float()
        if (found := task.divergence(ours, theirs)) is not None:
            return found
        if batch["labels"].is_floating_point():
            return (ours - theirs).square().mean() / theirs.var().clamp(min=1e-12)
        return soft_targets(ours, theirs, 1.0)

    return drift
