"""What stands in a model where layers were: nothing is computed there, and an export holds none of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn


class Absent(nn.Module):
    """In place of a linear, a convolution or a normalisation of a branch of which nothing is left.

    A writer's answer, zeros, is read by no one; the reader's is its bias, which is what it said of zeros, or zeros
    where it had none.
    """

    def __init__(self, units: int, bias: nn.Parameter | None = None, *, last: bool = True) -> None:
        """Makes one.

        Args:
            units: Values that it answers for each position, zeros, where there is no bias.
            bias: What a reader answers; None for a writer and for a reader without one.
            last: Whether its units are the last axis, as a linear's, or the second, as a convolution's.
        """
        super().__init__()
        self._units, self._last = units, last
        self.register_parameter("bias", bias)

    @property
    def units(self) -> int:
        """Values that it answers for each position."""
        return self._units if self.bias is None else len(self.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """A linear's writer: shape [..., units]; all others have axes of length 1 beside the units, a convolution's
        writer the rows as well.
        """
        axes = inputs.dim()
        if self.bias is None:
            before = inputs.shape[:-1] if self._last else inputs.shape[:1]
            return inputs.new_zeros((*before, self.units, *[1] * (axes - len(before) - 1)))
        return self.bias.view(*[1] * (axes - 1 if self._last else 1), -1, *[1] * (0 if self._last else axes - 2))


class Passing(nn.Module):
    """In place of a layer that was left out of a row of them: answers what it is given.

    Has the geometry of a convolution over single positions, for what pads by it.
    """

    kernel_size = stride = dilation = (1, 1)
    padding = (0, 0)
    groups = 1

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The inputs."""
        return inputs


class Nothing(nn.Module):
    """In place of the end of a branch whose constant an earlier layer says: adds nothing, and an export has no sum."""

    def __init__(self) -> None:
        super().__init__()
        # A constant, so that the exporter sees that the sum is none.
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """0, without axes."""
        zero: torch.Tensor = self.zero  # type: ignore[assignment]
        return zero.to(inputs.dtype)


PASSED, NOTHING = 0, -1
"""Units of a layer that was left out, and of the end of a branch that says nothing."""


def absences(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and units of each module that is gone; `PASSED` where it passes on what it is given, `NOTHING` where it adds
    nothing to what it is added to.
    """
    for name, module in model.named_modules():
        if isinstance(module, Absent):
            yield name, module.units
        elif isinstance(module, Nothing):
            yield name, NOTHING
        elif isinstance(module, Passing):
            yield name, PASSED


def take_out(model: nn.Module, name: str, units: int, bias: nn.Parameter | None = None) -> None:
    """Puts an `Absent` where a module is.

    Args:
        model: Changed in place.
        name: The module's.
        units: What it answers from now on.
        bias: The answer itself; None for zeros.
    """
    replaced = model.get_submodule(name)
    model.set_submodule(name, Absent(units, bias, last=isinstance(replaced, nn.Linear)))


def fold(model: nn.Module, name: str, normalisation: str | None = None, into: str | None = None) -> None:
    """Puts what a reader says of zeros in its place, or in that of the normalisation that follows it.

    Args:
        model: Changed in place.
        name: A linear or convolution.
        normalisation: A batch normalisation with statistics and weights; None where none follows.
        into: A module that says it instead, by its bias; then nothing is put there.
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
    """Takes the modules out of a fresh model that a state has nothing, or a bias alone, of."""
    for name, units in absent.items():
        if units == PASSED:
            model.set_submodule(name, Passing())
            continue
        if units == NOTHING:
            model.set_submodule(name, Nothing())
            continue
        bias = nn.Parameter(torch.empty(units)) if f"{name}.bias" in state else None
        take_out(model, name, units, bias)
