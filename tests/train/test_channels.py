"""Convolutions have their channels last while they train, and no longer."""

from __future__ import annotations

import torch
from torch import nn

from edgesft.train.channels import arranged, channels_last


def test_only_within() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval()
    x, weight = torch.randn(2, 3, 9, 9), net[0].weight
    before = net(x)
    with channels_last(net):
        assert net[0].weight is weight and weight.is_contiguous(memory_format=torch.channels_last)
        assert net(x).is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(net(x), before)
        net(x).sum().backward()
    assert weight.is_contiguous() and weight.grad is not None
    torch.testing.assert_close(net(x), before)


def test_a_teacher_stays_so() -> None:
    net = arranged(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv1d(3, 8, 3)))
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last) and net[1].weight.is_contiguous()
