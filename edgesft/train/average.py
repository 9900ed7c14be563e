"""An exponential moving average of the weights, which is often better than any one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from edgesft.train.checkpoint import restore_weights, write_weights

AVERAGE = "average.safetensors"


class Average:
    """The average of a model's floating-point state, taken after each step.

    Early on it would hold the initial weights for long; the decay grows to its value as (1 + steps) / (10 + steps) does
    (TensorFlow's `ExponentialMovingAverage`, argument `num_updates`).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self._state = {name: tensor.detach().clone() for name, tensor in self._held()}

    def update(self, step: int) -> None:
        """Takes in the weights after a step, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, tensor in self._held():
                self._state[name].lerp_(tensor, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def save(self, folder: Path) -> None:
        """Writes the averaged weights into a checkpoint."""
        with self.in_place():
            write_weights(self._model, folder / AVERAGE)

    def load(self, folder: Path) -> None:
        """Goes on from a checkpoint's average."""
        kept = {name: tensor.detach().clone() for name, tensor in self._held()}
        restore_weights(self._model, folder / AVERAGE)
        with torch.no_grad():
            for name, tensor in self._held():
                self._state[name].copy_(tensor)
                tensor.copy_(kept[name])

    def _swap(self) -> None:
        with torch.no_grad():
            for name, tensor in self._held():
                other = self._state[name].clone()
                self._state[name].copy_(tensor)
                tensor.copy_(other)

    def _held(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Tied tensors once, whatever they are called."""
        seen = set[int]()
        for name, tensor in self._model.state_dict(keep_vars=True).items():
            if tensor.is_floating_point() and id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor
