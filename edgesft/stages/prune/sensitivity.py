"""What cutting one width does to the loss while all others are whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.stages.prune.layout import Width
from edgesft.stages.prune.plan import top
from edgesft.train.objective import Objective


def sensitivity(
    model: nn.Module,
    widths: Sequence[Width],
    sizes: Mapping[str, Sequence[int]],
    scores: Mapping[str, np.ndarray],
    batches: Iterable[Mapping[str, Any]],
    objective: Objective,
) -> dict[str, list[float]]:
    """How much the loss grows when a width keeps its most important units alone.

    The units that would go are silenced where they are read, which is what cutting does to a block; of a stream a
    normalisation still counts them, so that its figure is an estimate.

    Args:
        model: Is put into evaluation mode.
        widths: What to try.
        sizes: Width → the sizes to try.
        scores: Width → importance of its units; shape [units].
        batches: Inputs and `labels` as tensors on the model's device, rows first.
        objective: Mean loss over the rows of a batch.

    Returns:
        Width → growth of the mean loss a row at each size, at least 0.
    """
    model.eval()
    grown = {width.name: np.zeros(len(sizes[width.name])) for width in widths}
    seen = 0
    with torch.no_grad():
        for batch in batches:
            rows = len(batch["labels"])
            whole = float(objective(model, batch))
            for width in widths:
                for place, size in enumerate(sizes[width.name]):
                    if size < width.size:
                        with _silenced(model, width, top(scores[width.name], size)):
                            grown[width.name][place] += (float(objective(model, batch)) - whole) * rows
            seen += rows
    return {name: np.maximum(found / max(seen, 1), 0.0).tolist() for name, found in grown.items()}


@contextmanager
def _silenced(model: nn.Module, width: Width, kept: np.ndarray) -> Iterator[None]:
    factors = torch.zeros(width.size, device=next(model.parameters()).device)
    factors[torch.as_tensor(kept)] = 1
    factors = factors.repeat_interleave(width.channels)

    def hook(_: nn.Module, inputs: tuple[Any, ...]) -> Any:
        return inputs[0] * factors, *inputs[1:]

    hooks = [model.get_submodule(reader).register_forward_pre_hook(hook) for reader in width.consumers]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()
