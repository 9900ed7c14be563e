"""What stands in a model where a block's linears were: nothing is computed there, and an export holds none of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn


class Absent(nn.Module):
    """In place of a linear that wrote or read a width of which nothing is left.

    The writer's answer, zeros, is read by no one; the reader's is its bias, which is what it said of a width of zeros,
    or zeros where it had none.
    """

    def __init__(self, units: int, bias: nn.Parameter | None = None) -> None:
        """Makes one.

        Args:
            units: Values that it answers for each position, zeros, where there is no bias.
            bias: What a reader answers; None for a writer and for a reader without one.
        """
        super().__init__()
        self._units = units
        self.register_parameter("bias", bias)

    @property
    def units(self) -> int:
        """Values that it answers for each position."""
        return self._units if self.bias is None else len(self.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape [..., units] for inputs of shape [..., any]; a reader's has axes of length 1 in place of the others."""
        if self.bias is None:
            return inputs.new_zeros((*inputs.shape[:-1], self.units))
        return self.bias.view(*[1] * (inputs.dim() - 1), -1)


def absences(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Module name and units of each linear that is gone."""
    for name, module in model.named_modules():
        if isinstance(module, Absent):
            yield name, module.units


def take_out(model: nn.Module, name: str, units: int, *, reads: bool) -> None:
    """Puts an `Absent` where a linear is.

    Args:
        model: Changed in place.
        name: The linear's.
        units: What it answers from now on: a reader as many values as before.
        reads: Whether it read the width; its bias stays.
    """
    linear = model.get_submodule(name)
    model.set_submodule(name, Absent(units, linear.bias if reads else None))  # type: ignore[arg-type]


def restore(model: nn.Module, absent: Mapping[str, int], state: Mapping[str, torch.Tensor]) -> None:
    """Takes the linears out of a fresh model that a state has nothing, or a bias alone, of."""
    for name, units in absent.items():
        bias = nn.Parameter(torch.empty(units)) if f"{name}.bias" in state else None
        model.set_submodule(name, Absent(units, bias))
