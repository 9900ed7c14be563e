"""Linears of a low rank, as the product of two narrower ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn


class Factors(nn.Sequential):
    """Stands where a linear was: the first of two reads into few values, the second answers from these."""

    def __init__(self, first: nn.Linear, second: nn.Linear) -> None:
        """Makes one.

        Args:
            first: Without a bias.
            second: Has the bias, if there is one.
        """
        super().__init__(OrderedDict(first=first, second=second))

    @classmethod
    def of(cls, first: torch.Tensor, second: torch.Tensor, bias: torch.Tensor | None) -> Factors:
        """With these weights, of shapes [rank, read] and [answered, rank]."""
        linears = []
        for weight, offset in ((first, None), (second, bias)):
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias=offset is not None, device="meta")
            linear.weight = nn.Parameter(weight)
            if offset is not None:
                linear.bias = nn.Parameter(offset)
            linears.append(linear)
        return cls(*linears)

    @property
    def out_features(self) -> int:
        """Values that it answers."""
        return int(self[1].weight.shape[0])  # type: ignore[union-attr]

    @property
    def rank(self) -> int:
        """Values between the two."""
        return int(self[0].weight.shape[0])  # type: ignore[union-attr]


def weights(linear: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of a linear, or of the linear that factors stand for."""
    last: Any = linear[1] if isinstance(linear, Factors) else linear
    weight = last.weight @ linear[0].weight if isinstance(linear, Factors) else last.weight
    return weight.detach(), None if last.bias is None else last.bias.detach()


def ranks(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and rank of each linear that is two."""
    for name, module in model.named_modules():
        if isinstance(module, Factors):
            yield name, module.rank


def restore(model: nn.Module, factored: Mapping[str, int], state: Mapping[str, torch.Tensor]) -> None:
    """Puts factors into a fresh model, with what a state has of them; where it lacks them a linear stays one."""
    for name in factored:
        first, second = (state.get(f"{name}.{part}.weight") for part in ("first", "second"))
        if first is not None and second is not None:
            model.set_submodule(name, Factors.of(first, second, state.get(f"{name}.second.bias")))
