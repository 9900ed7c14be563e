"""What each unit is worth.

`taylor` puts a gate, a factor of 1, on every unit where it is read, and takes the mean over the rows of the squared
derivative of a row's loss by the gate. That is the gate form of the first-order criterion of Molchanov et al. 2019
(arXiv 1906.10771) taken row by row, and the diagonal Fisher information of the masks with which Kwon et al. 2022
(arXiv 2204.09656) prune heads and feed-forward units of transformers. A gate covers exactly what vanishes with the
unit, whatever lies between its coupled parameters; squaring row by row keeps derivatives of opposite sign, whose mean
is about 0 in a trained model, from cancelling.

`magnitude` is the squared L2 norm of all coupled parameters (the group norm of DepGraph, Fang et al. 2023, arXiv
2301.12900); squared so that it adds up over parameters and compares between units of different sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.stages.prune.layout import Reader, Width
from edgesft.train.objective import Objective


def magnitude(widths: Sequence[Width], parameters: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Squared L2 norm of each unit's coupled parameters.

    Args:
        widths: What to score.
        parameters: Parameter name → tensor.

    Returns:
        Width → (units,) float64.
    """
    scores = {}
    for width in widths:
        total = torch.zeros(width.size * width.channels, dtype=torch.float64)
        for axis in width.axes:
            found = parameters[axis.parameter].detach().double().cpu().movedim(axis.dim, 0)
            own = found[axis.first : axis.first + len(total) * axis.spread]
            total += own.reshape(len(total), -1).square().sum(1)
        scores[width.name] = total.reshape(width.size, width.channels).sum(1).numpy()
    return scores


def gated(values: torch.Tensor, gates: torch.Tensor, channels: int, first: int = 0) -> torch.Tensor:
    """What a linear reads, each unit of each row times its gate.

    Args:
        values: (rows, …, features), or the same with rows and positions flattened into one axis.
        gates: (rows, units).
        channels: Features of a unit.
        first: Feature that the first unit begins at.

    Returns:
        Shape of `values`.
    """
    own = gates.repeat_interleave(channels, dim=1)
    after = values.shape[-1] - first - own.shape[1]
    factors = nn.functional.pad(own, (first, after), value=1.0).unsqueeze(1)
    return (values.reshape(len(gates), -1, values.shape[-1]) * factors).reshape(values.shape)


def taylor(
    model: nn.Module, widths: Sequence[Width], batches: Iterable[Mapping[str, Any]], objective: Objective
) -> dict[str, np.ndarray]:
    """Mean squared derivative of a row's loss by each unit's gate.

    Args:
        model: Is put into evaluation mode: dropout would make the scores random.
        widths: What to score.
        batches: Inputs and `labels` as tensors on the model's device, rows first.
        objective: Mean loss over the rows of a batch.

    Returns:
        Width → (units,) float64.
    """
    if not widths:
        return {}
    model.eval()
    device = next(model.parameters()).device
    scores = {width.name: torch.zeros(width.size, dtype=torch.float64) for width in widths}
    seen = 0
    for batch in batches:
        rows = len(batch["labels"])
        gates = {width.name: torch.ones(rows, width.size, device=device, requires_grad=True) for width in widths}
        with torch.enable_grad(), _gates(model, widths, gates):
            # The objective is a mean: times the rows, each gate's derivative is that of its own row's loss.
            loss = objective(model, batch) * rows
            slopes = torch.autograd.grad(loss, list(gates.values()))
        for width, slope in zip(widths, slopes, strict=True):
            scores[width.name] += slope.double().square().sum(0).cpu()
        seen += rows
    return {name: (score / max(seen, 1)).numpy() for name, score in scores.items()}


@contextmanager
def _gates(model: nn.Module, widths: Sequence[Width], gates: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """While open, whatever reads a width reads it through the width's gates."""

    def through(width: Width, place: Reader) -> Any:
        def hook(reader: nn.Module, inputs: tuple[Any, ...]) -> Any:
            # What runs without derivatives is constant to the loss, and its rows need not be the batch's.
            if not torch.is_grad_enabled():
                return None
            channels = width.channels * place.spread
            found = gated(features_last(reader, inputs[0]), gates[width.name], channels, place.first)
            return features_last(reader, found), *inputs[1:]

        return hook

    hooks = [
        model.get_submodule(reader.name).register_forward_pre_hook(through(width, reader))
        for width in widths
        for reader in width.consumers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def features_last(reader: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """What a module reads with its features along the last axis, as linears have them; convolutions' are the second's.

    Applied twice it changes nothing.
    """
    return values if isinstance(reader, nn.Linear) else values.transpose(1, -1)
