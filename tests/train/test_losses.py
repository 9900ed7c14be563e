from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edgesft.train.losses import hidden_mse, soft_targets


def test_soft_targets_against_a_value_by_hand() -> None:
    # T = 2: teacher softmax(0, ln 9 / 2) = (1/4, 3/4), student (1/2, 1/2).
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.0, math.log(9.0)]])
    expected = 4 * (0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5))
    assert soft_targets(student, teacher, 2.0).item() == pytest.approx(expected, abs=1e-6)


def test_soft_targets_is_a_mean_over_rows_and_zero_for_equals() -> None:
    teacher = torch.tensor([[0.0, math.log(9.0)], [1.0, 1.0]])
    student = torch.tensor([[0.0, 0.0], [5.0, 5.0]])
    one = soft_targets(student[:1], teacher[:1], 1.0)
    assert soft_targets(student, teacher, 1.0).item() == pytest.approx(one.item() / 2)
    assert soft_targets(teacher + 3, teacher, 4.0).item() == pytest.approx(0.0, abs=1e-6)


def test_soft_targets_takes_the_gradient_size_off_the_temperature() -> None:
    teacher = torch.tensor([[0.02, -0.02]])
    sizes = []
    for temperature in (1.0, 10.0):
        student = torch.zeros(1, 2, requires_grad=True)
        soft_targets(student, teacher, temperature).backward()
        sizes.append(student.grad.abs().sum().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_hidden_mse_by_hand() -> None:
    student = torch.tensor([[[1.0, 2.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[0.0, 4.0], [0.0, 0.0]]])
    assert hidden_mse(student, teacher).item() == pytest.approx((1 + 4 + 81 + 81) / 4)
    assert hidden_mse(student, teacher, torch.tensor([[1, 0]])).item() == pytest.approx((1 + 4) / 2)


def test_hidden_mse_projects_the_student() -> None:
    projection = nn.Linear(1, 2, bias=False)
    nn.init.constant_(projection.weight, 2.0)
    student, teacher = torch.ones(1, 1, 1), torch.tensor([[[2.0, 5.0]]])
    assert hidden_mse(student, teacher, torch.ones(1, 1), projection).item() == pytest.approx((0 + 9) / 2)
