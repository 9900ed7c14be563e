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


PASSED = 0
"""Units of a layer that was left out."""


def absences(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and units of each module that is gone; `PASSED` where it passes on what it is given."""
    for name, module in model.named_modules():
        if isinstance(module, Absent):
            yield name, module.units
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


def fold(model: nn.Module, name: str, normalisation: str | None = None) -> None:
    """Puts what a reader says of zeros in its place, or in that of the normalisation that follows it.

    Args:
        model: Changed in place.
        name: A linear or convolution.
        normalisation: A batch normalisation with statistics and weights; None where none follows.
    """
    reader = model.get_submodule(name)
    bias, units = reader.bias, reader.weight.shape[0]  # type: ignore[union-attr]
    if normalisation is None:
        take_out(model, name, units, bias)  # type: ignore[arg-type]
        return
    norm: Any = model.get_submodule(normalisation)
    with torch.no_grad():
        said = norm.running_mean.new_zeros(units) if bias is None else bias
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        constant = nn.Parameter(norm.bias + scale * (said - norm.running_mean))
    take_out(model, name, units)
    take_out(model, normalisation, units, constant)


def restore(model: nn.Module, absent: Mapping[str, int], state: Mapping[str, torch.Tensor]) -> None:
    """Takes the modules out of a fresh model that a state has nothing, or a bias alone, of."""
    for name, units in absent.items():
        if units == PASSED:
            model.set_submodule(name, Passing())
            continue
        bias = nn.Parameter(torch.empty(units)) if f"{name}.bias" in state else None
        take_out(model, name, units, bias)
