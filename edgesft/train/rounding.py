"""Training that knows of int8: what will be rounded on the device is rounded here, and learns to live with it.

Quantization-aware training by straight-through estimates (Jacob et al. 2018, arXiv 1712.05877, section 3): the forward
pass rounds, the backward pass does not see it. Steps follow the values as ONNX Runtime's do: of weights one for each
output channel, of tables one, of what a layer reads one for the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

LEVELS = 127
"""Largest magnitude of a symmetric int8."""

STEPS = 255
"""Steps of an unsigned byte."""

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def rounding(model: nn.Module) -> list[str]:
    """Names of the modules that int8 rounds: linears, convolutions and embeddings."""
    return [name for name, module in model.named_modules() if isinstance(module, (*LAYERS, nn.Embedding))]


@contextmanager
def rounded(model: nn.Module, names: Sequence[str] | None = None) -> Iterator[None]:
    """Within it modules compute with what int8 leaves of weights and inputs; by default all that `rounding` names."""
    placed = [model.get_submodule(name) for name in (rounding(model) if names is None else names)]
    for module in placed:
        module.forward = _embedded(module) if isinstance(module, nn.Embedding) else _layer(module)  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in placed:
            del module.forward


def _layer(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(inputs: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = module.weight  # type: ignore[assignment]
        values = by_channel(weight)
        read = by_batch(inputs)
        if isinstance(module, nn.Linear):
            return nn.functional.linear(read, values, module.bias)
        found: torch.Tensor = module._conv_forward(read, values, module.bias)  # type: ignore[operator]
        return found

    return forward


def _embedded(module: nn.Embedding) -> Callable[[torch.Tensor], torch.Tensor]:
    plain = type(module).forward

    def forward(ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            step = (module.weight.abs().max() / LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
        return _fake(plain(module, ids), step, torch.zeros((), dtype=torch.int32, device=step.device), -LEVELS, LEVELS)

    return forward


def by_channel(weight: torch.Tensor) -> torch.Tensor:
    """What symmetric int8 leaves of a weight, (outputs, …), with a step for each output."""
    with torch.no_grad():
        steps = weight.detach().flatten(1).abs().amax(1).float() / LEVELS
        steps.clamp_(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight.float(), steps, zeros, 0, -LEVELS, LEVELS)


def by_batch(values: torch.Tensor) -> torch.Tensor:
    """What an unsigned byte leaves of a tensor, its step and zero following the range (DynamicQuantizeLinear)."""
    with torch.no_grad():
        low, high = torch.aminmax(values.detach().float())
        low, high = low.clamp(max=0), high.clamp(min=0)
        step = ((high - low) / STEPS).clamp(min=torch.finfo(torch.float32).tiny)
        zero = (-low / step).round().clamp(0, STEPS).to(torch.int32)
    return _fake(values.float(), step, zero, 0, STEPS)


def _fake(values: torch.Tensor, step: torch.Tensor, zero: torch.Tensor, low: int, high: int) -> torch.Tensor:
    return torch.fake_quantize_per_tensor_affine(values, step, zero, low, high)
