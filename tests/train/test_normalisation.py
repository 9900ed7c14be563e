"""Statistics of batch normalisation, taken anew."""

from __future__ import annotations

import torch
from torch import nn

from edgesft.train.normalisation import recalibrate


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(3), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.drop(self.norm(x))
        return out


def test_planted_statistics_are_replaced_by_those_of_the_batches() -> None:
    torch.manual_seed(0)
    rows = torch.randn(400, 3) * torch.tensor([1.0, 2.0, 5.0]) + torch.tensor([0.0, 3.0, -7.0])
    net = Net().eval()
    net.norm.running_mean.fill_(50.0)
    net.norm.running_var.fill_(1e-4)
    assert recalibrate(net, ({"x": part} for part in rows.split(100))) == 1
    torch.testing.assert_close(net.norm.running_mean, rows.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net.norm.running_var, rows.var(0), rtol=0.05, atol=0.05)
    assert net.norm.momentum == 0.1 and not net.norm.training
    assert abs(net(rows).mean().item()) < 1e-2


def test_a_row_alone_says_nothing() -> None:
    torch.manual_seed(0)
    rows = torch.randn(9, 3)
    net, other = Net().eval(), Net().eval()
    assert recalibrate(net, ({"x": part} for part in rows.split(4))) == 1
    assert recalibrate(other, ({"x": part} for part in rows[:8].split(4))) == 1
    torch.testing.assert_close(net.norm.running_var, other.norm.running_var)
    pictures = nn.BatchNorm2d(3)
    recalibrate(pictures, [{"input": torch.randn(1, 3, 5, 5) + 7}])
    assert float(pictures.running_mean.min()) > 5, "a picture varies by its pixels"


def test_a_model_without_such_layers_is_left_alone() -> None:
    def unread() -> object:
        raise AssertionError("no batch is needed")
        yield

    net = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)).train()
    assert recalibrate(net, unread()) == 0 and net.training
