"""Batch normalisation after a model was changed: statistics of what its layers see now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def recalibrate(model: nn.Module, batches: Iterable[Mapping[str, Any]]) -> int:
    """Takes the running statistics of all batch-normalisation layers anew: their mean over the batches.

    Moving averages lag behind the weights, and cut channels shift what comes after them (Wu and Johnson 2021, arXiv
    2105.07576, section 3, "PreciseBN"). Everything else of the model is as in evaluation. The batches are read only
    where there is such a layer; one of a single row, in which nothing varies, only where all are such.

    Args:
        model: Called with each batch; its modes are as before afterwards.
        batches: The model's inputs as tensors.

    Returns:
        How many layers there are.
    """
    layers = [each for each in model.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]
    if not layers:
        return 0
    modes = {module: module.training for module in model.modules()}
    momenta = [layer.momentum for layer in layers]
    model.eval()
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # The cumulative mean.
            layer.train()
        with torch.no_grad():
            for batch in _several(batches):
                model(**batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes.items():
            module.training = training
    return len(layers)


def _several(batches: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    alone, several = [], False
    for batch in batches:
        if len(next(iter(batch.values()))) > 1:
            several = True
            yield batch
        else:
            alone.append(batch)
    yield from () if several else alone
