"""Batches in parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgesft.spec.training import ResolvedTraining
from edgesft.train.gradient import Gradient, cuts


def test_parts_have_enough_rows() -> None:
    assert cuts(7, 3, 1) == [0, 3, 6]
    assert cuts(7, 3, 2) == [0, 3]
    assert cuts(7, 7, 2) == [0, 2, 4]
    assert cuts(8, 8, 2) == [0, 2, 4, 6]
    assert cuts(1, 1, 2) == [0]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.answer = nn.BatchNorm1d(3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.answer(self.norm(x))
        return out


@pytest.mark.parametrize("parts", [2, 3, 4, 5])
def test_batch_normalisation_never_sees_a_row_alone(parts: int) -> None:
    net, steps = Net(), SimpleNamespace(parts=lambda step: parts)
    batch = {"x": torch.randn(5, 3), "labels": torch.tensor([0, 1, 0, 1, 1])}

    def objective(model: nn.Module, some: Any) -> torch.Tensor:
        return functional.cross_entropy(model(some["x"]), some["labels"])

    given: Any = steps
    assert Gradient(net, objective, given, ResolvedTraining(), 0, bf16=False).add(0, batch) > 0
