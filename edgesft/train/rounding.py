"""Training that knows of int8: what will be rounded on the device is rounded here, and learns to live with it.

Quantization-aware training by straight-through estimates (Jacob et al. 2018, arXiv 1712.05877, section 3): the forward
pass rounds, the backward pass does not see it. Steps of weights follow the values as ONNX Runtime's do, one for each
output channel, of tables one. So does, for the batch, the step of what a layer reads; or it is fixed and learned (Esser
et al. 2020, arXiv 1902.08153).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

LEVELS, REDUCED = 127, 64
"""Largest magnitude of a symmetric int8, and of a weight whose products with bytes must not saturate: what ONNX
Runtime's quantizer calls `reduce_range`."""

STEPS = 255
"""Steps of an unsigned byte."""

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def rounding(model: nn.Module) -> list[str]:
    """Names of the modules that int8 rounds: linears, convolutions and embeddings."""
    return [name for name, module in model.named_modules() if isinstance(module, (*LAYERS, nn.Embedding))]


class Range(nn.Module):
    """The range of what a layer reads, in steps of unsigned bytes. Of the step the logarithm is learned, so that an
    optimiser whose steps do not follow the gradient's size changes it by shares; where zero lies stays.
    """

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = 0.0, 0.0
        self.log_step = nn.Parameter(torch.zeros(()))
        self.register_buffer("zero", torch.zeros(1))
        self.found = True

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values as the bytes have them, or as they are while it looks at them."""
        if not self.found:
            low, high = torch.aminmax(values.detach().float())
            self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
            return values
        # The share of the step's gradient is that of section 2.2 there.
        share = 1 / math.sqrt(values.numel() * STEPS)
        step = self.log_step.exp().reshape(1)
        found: torch.Tensor = torch._fake_quantize_learnable_per_tensor_affine(
            values.float(), step, self.zero, 0, STEPS, share
        )
        return found

    def settle(self) -> None:
        """Takes what it saw for its range."""
        step = max((self.high - self.low) / STEPS, torch.finfo(torch.float32).tiny)
        with torch.no_grad():
            self.log_step.fill_(math.log(step))
            self.zero.fill_(min(max(round(-self.low / step), 0), STEPS))

    def bounds(self) -> tuple[float, float]:
        """Least and greatest value."""
        step, zero = float(self.log_step.exp()), float(self.zero)
        return -zero * step, (STEPS - zero) * step


@contextmanager
def ranged(model: nn.Module, batch: Mapping[str, Any], levels: int = LEVELS) -> Iterator[None]:
    """Within it linears and convolutions have a `Range` each, as `reads`, that begins with what they read of a batch.

    Those that do not run in evaluation, such as what only trains, have none: their step follows the values.

    Args:
        model: Its own modes stay.
        batch: The model's inputs.
        levels: Largest magnitude of a weight.
    """
    layers = {name: model.get_submodule(name) for name in rounding(model)}
    placed = {name: layer for name, layer in layers.items() if not isinstance(layer, nn.Embedding)}
    modes = {module: module.training for module in model.modules()}
    for module in placed.values():
        module.add_module("reads", Range().to(module.weight.device))  # type: ignore[union-attr, arg-type]
    try:
        model.eval()
        looking = [module for module in model.modules() if isinstance(module, Range)]
        for each in looking:
            each.found = False
        with rounded(model, levels=levels), torch.no_grad():
            model(**batch)
        for each in looking:
            each.found = True
            each.settle()
        for name in [name for name, module in placed.items() if module.reads.low == module.reads.high]:
            del placed.pop(name).reads
        for module, training in modes.items():
            module.training = training
        with rounded(model, levels=levels):
            yield
    finally:
        for module in placed.values():
            del module.reads


def ranges(model: nn.Module) -> dict[str, tuple[float, float]]:
    """Layer → least and greatest value that it can read, of those that have a `Range`."""
    return {
        name.rpartition(".")[0]: module.bounds() for name, module in model.named_modules() if isinstance(module, Range)
    }


@contextmanager
def rounded(model: nn.Module, names: Sequence[str] | None = None, levels: int = LEVELS) -> Iterator[None]:
    """Within it modules compute with what int8 leaves of weights and inputs.

    Args:
        model: Its own modes stay.
        names: The modules; by default all that `rounding` names.
        levels: Largest magnitude of a weight.
    """
    placed = [model.get_submodule(name) for name in (rounding(model) if names is None else names)]
    for module in placed:
        kind = _embedded if isinstance(module, nn.Embedding) else _layer
        module.forward = kind(module, levels)  # type: ignore[assignment, arg-type]
    try:
        yield
    finally:
        for module in placed:
            del module.forward


def _layer(module: nn.Module, levels: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(inputs: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = module.weight  # type: ignore[assignment]
        values = by_channel(weight, levels)
        read = module.reads(inputs) if isinstance(getattr(module, "reads", None), Range) else by_batch(inputs)
        if isinstance(module, nn.Linear):
            return nn.functional.linear(read, values, module.bias)
        found: torch.Tensor = module._conv_forward(read, values, module.bias)  # type: ignore[operator]
        return found

    return forward


def _embedded(module: nn.Embedding, levels: int) -> Callable[[torch.Tensor], torch.Tensor]:
    plain = type(module).forward

    def forward(ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            step = (module.weight.abs().max() / levels).clamp(min=torch.finfo(torch.float32).tiny)
        return _fake(plain(module, ids), step, torch.zeros((), dtype=torch.int32, device=step.device), -levels, levels)

    return forward


def by_channel(weight: torch.Tensor, levels: int = LEVELS) -> torch.Tensor:
    """What symmetric int8 leaves of a weight, (outputs, …), with a step for each output."""
    with torch.no_grad():
        steps = weight.detach().flatten(1).abs().amax(1).float() / levels
        steps.clamp_(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight.float(), steps, zeros, 0, -levels, levels)


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
