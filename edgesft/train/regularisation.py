"""What keeps a model from learning the training rows by heart, besides weight decay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from edgesft.data.chunks import chunks
from edgesft.errors import InputError
from edgesft.tasks.base import Example


@contextmanager
def dropping(model: nn.Module, share: float | None) -> Iterator[None]:
    """Within it every `nn.Dropout` of the model drops this share; None leaves each as it is.

    Raises:
        InputError: The model has none.
    """
    found = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    if share is not None and not found:
        raise InputError(f"dropout: must have a model with dropout, got {type(model).__name__}", "leave it out")
    before = [module.p for module in found]
    try:
        for module in found if share is not None else ():
            module.p = float(share or 0.0)
        yield
    finally:
        for module, value in zip(found, before, strict=True):
            module.p = value


def penalty(model: nn.Module, l1: float, l2: float) -> torch.Tensor:
    """l1 · Σ|w| + l2 · Σw², over the weights that train and have two axes or more; biases and norms are left out."""
    weights = [each for each in model.parameters() if each.requires_grad and each.dim() > 1]
    total = torch.zeros((), device=weights[0].device if weights else None)
    for weight in weights:
        if l1:
            total = total + l1 * weight.abs().sum()
        if l2:
            total = total + l2 * weight.square().sum()
    return total


def balanced(examples: Sequence[Example], classes: int | None = None) -> torch.Tensor:
    """A weight for each class so that all weigh alike: rows / (classes · rows of the class), float32.

    The formula is scikit-learn's `class_weight="balanced"` (King and Zeng 2001). Classes without a row have 0; labels
    below 0 do not count.

    Args:
        examples: Have `labels` of whole numbers.
        classes: How many; by default as many as the highest label says.
    """
    counts = np.zeros(classes or 0)
    for chunk in chunks(examples):
        labels = np.concatenate([np.ravel(example["labels"]) for example in chunk])
        more = np.bincount(labels[labels >= 0], minlength=len(counts)).astype(np.float64)
        more[: len(counts)] += counts
        counts = more
    seen = counts > 0
    weights = np.zeros_like(counts)
    weights[seen] = counts.sum() / (seen.sum() * counts[seen])
    return torch.from_numpy(weights.astype(np.float32))
