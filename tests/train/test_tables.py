"""Tables with sparse gradients: the same steps as AdamW's where every row is read, and no change where none is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgesft.train.tables import FEWEST_ROWS, TableAdamW, clip, sparse_gradients

ROWS = FEWEST_ROWS


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Embedding(ROWS, 4), nn.Flatten(), nn.Linear(8, 2))


def backward(model: nn.Module, ids: torch.Tensor) -> None:
    model.zero_grad()
    (model(ids) ** 2).sum().backward()


def test_reading_every_row_is_adamw() -> None:
    ours, theirs = net(), net()
    one = TableAdamW(ours.parameters(), lr=1e-2, weight_decay=0.1)
    other = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.1)
    for step in range(4):
        torch.manual_seed(step)
        ids = torch.randperm(ROWS).view(-1, 2)
        with sparse_gradients(ours):
            backward(ours, ids)
        assert ours[0].weight.grad.is_sparse
        backward(theirs, ids)
        one.step()
        other.step()
    for mine, plain in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, plain, atol=1e-6)


def test_rows_that_no_batch_reads_stay() -> None:
    model = net()
    before = model[0].weight.detach().clone()
    optimiser = TableAdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for ids in ([[1, 2]], [[2, 3]]):
        with sparse_gradients(model):
            backward(model, torch.tensor(ids))
        optimiser.step()
    changed = (model[0].weight != before).any(1).nonzero().flatten()
    assert changed.tolist() == [1, 2, 3]


def test_its_state_goes_on_where_it_was() -> None:
    once = net()
    optimiser = TableAdamW(once.parameters(), lr=1e-2)

    def step(model: nn.Module, of: torch.optim.Optimizer, ids: list[int]) -> None:
        with sparse_gradients(model):
            backward(model, torch.tensor([ids]))
        of.step()

    step(once, optimiser, [1, 2])
    again, state = copy.deepcopy(once), copy.deepcopy(optimiser.state_dict())
    resumed = TableAdamW(again.parameters(), lr=1e-2)
    resumed.load_state_dict(state)
    step(once, optimiser, [2, 3])
    step(again, resumed, [2, 3])
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), again.parameters(), strict=True))


def test_clipping_counts_sparse_gradients() -> None:
    ours, theirs = net(), net()
    ids = torch.tensor([[1, 2], [2, 2]])
    with sparse_gradients(ours):
        backward(ours, ids)
    backward(theirs, ids)
    norm = clip(list(ours.parameters()), 0.1)
    assert torch.allclose(norm, nn.utils.clip_grad_norm_(theirs.parameters(), 0.1))
    for mine, plain in zip(ours.parameters(), theirs.parameters(), strict=True):
        gradient = mine.grad.to_dense() if mine.grad.is_sparse else mine.grad
        assert torch.allclose(gradient, plain.grad, atol=1e-6)
    assert clip(list(ours.parameters()), 10.0) == pytest.approx(0.1, rel=1e-3)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(ROWS, 4), nn.Linear(4, ROWS, bias=False)
        self.out.weight = self.table.weight


@pytest.mark.parametrize(
    "model",
    [
        Tied(),
        nn.Embedding(ROWS - 1, 4),
        nn.Embedding(ROWS, 4).requires_grad_(False),
        nn.Embedding(ROWS, 4, max_norm=1.0),
        nn.Embedding(ROWS, 4, scale_grad_by_freq=True),
    ],
    ids=["tied", "small", "frozen", "max_norm", "by frequency"],
)
def test_tables_that_are_left_as_they_are(model: nn.Module) -> None:
    with sparse_gradients(model):
        assert not any(module.sparse for module in model.modules() if isinstance(module, nn.Embedding))


def test_a_model_is_as_before_afterwards() -> None:
    model = net()
    with pytest.raises(RuntimeError), sparse_gradients(model):
        assert model[0].sparse
        raise RuntimeError
    assert not model[0].sparse
