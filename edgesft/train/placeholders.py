"""Modules that take the place of removed layers: they compute nothing and leave no trace in an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn


class Placeholder(nn.Module):
    """Has the attributes of a 1×1 convolution, which code that computes paddings reads."""

    kernel_size = stride = dilation = (1, 1)
    padding = (0, 0)
    groups = 1


class Absent(Placeholder):
    """Takes the place of a linear, a convolution or a normalisation in a branch all of whose units were pruned.

    The first layer of the branch gives zeros, which nothing uses. The last one gives its bias, which is its output for
    an input of zeros, or zeros where it had none.
    """

    def __init__(self, units: int, bias: nn.Parameter | None = None, *, last: bool = True) -> None:
        """Makes one.

        Args:
            units: Number of zeros that it gives for each position, where there is no bias.
            bias: Its output; None for zeros.
            last: Whether its units are the last axis, as a linear's, or the second, as a convolution's.
        """
        super().__init__()
        self._units, self._last = units, last
        self.register_parameter("bias", bias)

    @property
    def units(self) -> int:
        """Number of values that it gives for each position."""
        return self._units if self.bias is None else len(self.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """In place of a linear without bias: shape [..., units]. Otherwise all axes but that of the units have length
        1; in place of a convolution without bias, the axis of the rows stays.
        """
        axes = inputs.dim()
        if self.bias is None:
            before = inputs.shape[:-1] if self._last else inputs.shape[:1]
            return inputs.new_zeros((*before, self.units, *[1] * (axes - len(before) - 1)))
        return self.bias.view(*[1] * (axes - 1 if self._last else 1), -1, *[1] * (0 if self._last else axes - 2))


class Passing(Placeholder):
    """Takes the place of a bypassed layer: an identity."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The inputs."""
        return inputs


class Nothing(Placeholder):
    """Takes the place of the end of a branch whose constant an earlier layer adds: 0, so that an export has no sum."""

    def __init__(self) -> None:
        super().__init__()
        # A constant, so that the exporter sees that the sum is none.
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """0, without axes."""
        zero: torch.Tensor = self.zero  # type: ignore[assignment]
        return zero.to(inputs.dtype)


PASSED, NOTHING = 0, -1
"""Stand for the number of units: of a layer that was bypassed, and of the end of a branch that adds nothing."""


def absences(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and number of units of each removed module; `PASSED` for an identity, `NOTHING` for a branch that adds 0."""
    for name, module in model.named_modules():
        if isinstance(module, Absent):
            yield name, module.units
        elif isinstance(module, Nothing):
            yield name, NOTHING
        elif isinstance(module, Passing):
            yield name, PASSED


def take_out(model: nn.Module, name: str, units: int, bias: nn.Parameter | None = None) -> None:
    """Replaces a module by an `Absent`.

    Args:
        model: Changed in place.
        name: The module's.
        units: Number of values that it gives from now on.
        bias: These values; None for zeros.
    """
    replaced = model.get_submodule(name)
    model.set_submodule(name, Absent(units, bias, last=isinstance(replaced, nn.Linear)))


def fold(model: nn.Module, name: str, normalisation: str | None = None, into: str | None = None) -> None:
    """Replaces the last layer of a branch, or the normalisation after it, by its constant output for zeros.

    Args:
        model: Changed in place.
        name: A linear or convolution.
        normalisation: A batch normalisation with statistics and weights; None where none follows.
        into: A module whose bias takes up the constant instead; the branch then adds nothing.
    """
    reader = model.get_submodule(name)
    said, units, end = reader.bias, reader.weight.shape[0], name  # type: ignore[union-attr]
    if normalisation is not None:
        norm: Any = model.get_submodule(normalisation)
        with torch.no_grad():
            before = norm.running_mean.new_zeros(units) if said is None else said
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            said, end = nn.Parameter(norm.bias + scale * (before - norm.running_mean)), normalisation
        take_out(model, name, units)
    if into is None:
        take_out(model, end, units, said)  # type: ignore[arg-type]
        return
    model.set_submodule(end, Nothing())
    if said is not None:
        with torch.no_grad():
            model.get_submodule(into).bias += said  # type: ignore[operator]


def restore(model: nn.Module, absent: Mapping[str, int], state: Mapping[str, torch.Tensor]) -> None:
    """Removes from a fresh model the modules of which a state dict has nothing, or only a bias."""
    for name, units in absent.items():
        if units == PASSED:
            model.set_submodule(name, Passing())
            continue
        if units == NOTHING:
            model.set_submodule(name, Nothing())
            continue
        bias = nn.Parameter(torch.empty(units)) if f"{name}.bias" in state else None
        take_out(model, name, units, bias)
