"""Two towers, of users and of items, for the task recommendation: a net that recipes name as a factory.

A user is what they did, each item by how long ago and how it was rated, and the moment; an item is its own vector and
what is known of it; the score is their product (Covington et al. 2016, "Deep Neural Networks for YouTube
Recommendations"; Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations").
The items' tower depends on no request, so that it is exported as a table. Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

import torch
from torch import nn
from torch.nn import functional

from edgesft.tasks.sasrec import Table, drawn, scored, table_of


class ItemTower(nn.Module):
    """Vectors of ids: a table's, and those of the slots that each has."""

    known: torch.Tensor

    def __init__(self, table: nn.Module, about: Sequence[Sequence[int]], width: int) -> None:
        super().__init__()
        self.table = table
        # Slot 0 is none, and so is item 0.
        rows = [torch.tensor([1 + slot for slot in slots], dtype=torch.int64) for slots in ((), *about)]
        known = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        self.slots = nn.EmbeddingBag(1 + int(known.max()), width, mode="sum", padding_idx=0)
        self.register_buffer("known", known, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[..., width] for ids of shape [...]."""
        found: torch.Tensor = self.slots(self.known[ids.flatten()]).unflatten(0, ids.shape)
        return self.table(ids) + found

    def vectors(self) -> torch.Tensor:
        """Of all ids, [ids, width]."""
        return self(torch.arange(len(self.known), device=self.known.device))

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """Of all ids, [..., ids], after states of shape [..., width]."""
        return functional.linear(states, self.vectors())


class Layer(nn.Module):
    """Two linears, added to what they read."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        return states + self.dropout(self.down(functional.gelu(self.up(self.norm(states)))))


class Towers(nn.Module):
    """Scores of items after each of a history, or after its last one."""

    def __init__(
        self,
        table: nn.Module,
        ids: int,
        length: int,
        slots: int,
        rated: bool,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.table, self.heads = table, heads
        # Half-lives of 1/4, 1/2, 1, … items to begin with, the first as good as the last item; at last a plain mean.
        rates = [math.log(2) * 4 / 2**head for head in range(heads - 1)] + [0.0]
        ages = torch.arange(length - 1, -1, -1.0)
        self.recency = nn.Parameter(-torch.tensor(rates)[:, None] * ages)
        self.rating = nn.Parameter(torch.zeros(width)) if rated else None
        self.moment = nn.Linear(slots, width, bias=False) if slots else None
        self.mixed = nn.Linear(width, width)
        self.layers = nn.ModuleList(Layer(width, inner, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.bias = nn.Parameter(torch.zeros(ids))

    def forward(
        self,
        items: torch.Tensor,
        candidates: torch.Tensor | None = None,
        ratings: torch.Tensor | None = None,
        scenario: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As the task recommendation wants it.

        Args:
            items: Ids, [rows, length], 0 before shorter histories.
            candidates: Ids that are scored after each item, [rows, some], all where there are none of them.
            ratings: From -1 to 1, [rows, length].
            scenario: 1 for each slot of the moment, else 0, [rows, length, slots], or [rows, 1, slots].

        Returns:
            Scores of all ids after the last item, [rows, ids]; with candidates [rows, length, candidates].
        """
        read = self.dropout(self.table(items))
        if self.rating is not None and ratings is not None:
            read = read * (1 + ratings[..., None] * self.rating)
        states = self.mixed(self._pooled(read, (items > 0).to(read.dtype), candidates is None))
        if self.moment is not None and scenario is not None:
            states = states + self.moment(scenario)
        for layer in self.layers:
            states = layer(states)
        states = self.norm(states)
        return scored(states, self.table, self.bias, candidates)

    def _pooled(self, read: torch.Tensor, there: torch.Tensor, last: bool) -> torch.Tensor:
        """Means of vectors up to each position, by how long ago they were: [rows, length, width], or of the last one
        alone [rows, 1, width].
        """
        count = read.shape[1]
        weights = self.recency[:, -count:].exp()[:, None]
        if not last:
            # What is `age` positions before a position has the weight of that age; what comes later has none.
            ages = torch.arange(count, device=read.device)
            ages = ages[:, None] - ages
            weights = weights[:, 0, (count - 1 - ages).clamp(max=count - 1)] * (ages >= 0)
        # [heads, length, rows · width of a head], for the weights are those of all rows.
        values = (read * there[..., None]).unflatten(2, (self.heads, -1)).permute(2, 1, 0, 3)
        found = (weights @ values.flatten(2)).unflatten(2, values.shape[2:]).permute(2, 1, 0, 3)
        total = (weights @ there.T).permute(2, 1, 0)
        return (found / total.clamp(min=1e-6)[..., None]).flatten(2)

    def baked(self) -> Towers:
        """The same with a table in the place of the items' tower."""
        if not isinstance(self.table, ItemTower):
            return self
        found = copy(self)
        with torch.no_grad():
            table = Table.from_pretrained(self.table.vectors(), padding_idx=0)
        found._modules = {**self._modules, "table": table}
        return found


def towers(
    items: int,
    length: int,
    about: Sequence[Sequence[int]] = (),
    scenario: int = 0,
    ratings: bool = False,
    width: int = 64,
    layers: int = 1,
    heads: int = 8,
    inner: int | None = None,
    dropout: float = 0.3,
    buckets: int | None = None,
) -> nn.Module:
    """A net that nobody trained yet.

    Args:
        items: How many there are; the task says it, as all up to `ratings`.
        length: How many are read.
        about: For each item the slots that it has; of none where nothing is known of them.
        scenario: How many slots moments have.
        ratings: Whether it reads how items were rated.
        width: Of the vectors.
        layers: Of the users' tower.
        heads: Parts of the vectors, each with weights of its own for how long ago things were; divides the width.
        inner: Width between a layer's two linears; by default twice the width.
        dropout: Share that is dropped in training.
        buckets: Rows of the smaller of two tables in place of one (`HashedTable`). What is known of items makes one
            table of them in the exported graph all the same.
    """
    if width % heads:
        raise ValueError(f"heads must divide the width, {width}, got {heads}")
    table = table_of(items + 1, width, buckets)
    tower = ItemTower(table, about, width) if any(about) else table
    made = Towers(tower, items + 1, length, scenario, ratings, width, layers, heads, inner or 2 * width, dropout)
    return drawn(made, buckets)
