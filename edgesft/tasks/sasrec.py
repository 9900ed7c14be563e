"""A transformer over what somebody did: a net for the task recommendation, which recipes name as a factory.

SASRec (Kang and McAuley 2018, "Self-Attentive Sequential Recommendation", arXiv 1808.09781), with normalisation before
each part and one table for what is read and what is scored. Imports torch.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

HIDDEN = -1e4
"""Added to the score of what must not be attended to: a row of padding alone stays finite."""


class Table(nn.Embedding):
    """A vector for each id, 0 being none."""

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """Of all ids, [..., ids], after states of shape [..., width]."""
        return functional.linear(states, self.weight)


class HashedTable(nn.Module):
    """Vectors of ids as products of two, by quotient and remainder: two small tables stand for a large one (Shi et al.
    2020, "Compositional Embeddings Using Complementary Partitions", arXiv 1909.02107).
    """

    def __init__(self, ids: int, width: int, buckets: int) -> None:
        super().__init__()
        self.ids, self.buckets = ids, buckets
        self.quotients = nn.Embedding(math.ceil(ids / buckets), width)
        self.remainders = nn.Embedding(buckets, width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[..., width] for ids of shape [...]."""
        return self.quotients(ids // self.buckets) * self.remainders(ids % self.buckets)

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """Of all ids, [..., ids], after states of shape [..., width]."""
        both = functional.linear(states[..., None, :] * self.quotients.weight, self.remainders.weight)
        return both.flatten(-2)[..., : self.ids]


def table_of(ids: int, width: int, buckets: int | None) -> nn.Module:
    """A table, or two small ones."""
    return Table(ids, width, padding_idx=0) if buckets is None else HashedTable(ids, width, buckets)


def drawn(net: nn.Module, buckets: int | None) -> nn.Module:
    """A net whose tables are new."""
    for module in net.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            # Products of two, and scores of vectors: of the size that a linear's weights have.
            nn.init.normal_(module.weight, std=0.02 if buckets is None else math.sqrt(0.02))
    return net


def scored(states: torch.Tensor, table: nn.Module, bias: torch.Tensor, candidates: torch.Tensor | None) -> torch.Tensor:
    """What the task recommendation wants of states, [rows, length, width].

    Args:
        states: After each item.
        table: Vectors of ids.
        bias: Of each id.
        candidates: Ids, [rows, some], all where there are none of them; without, all are scored after the last state.
    """
    if candidates is None:
        return table.scores(states[:, -1]) + bias
    if not candidates.shape[1]:
        return table.scores(states) + bias
    return states @ table(candidates).transpose(1, 2) + bias[candidates][:, None]


class Attention(nn.Module):
    """Attention of several heads; pruning finds by `num_heads` what belongs to one."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.joined = nn.Linear(width, width)

    def forward(self, asking: torch.Tensor, states: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """What is found, [rows, asking, width].

        Args:
            asking: Shape [rows, asking, width].
            states: Shape [rows, length, width].
            hidden: Added to what positions are to each other, [rows, 1, asking or 1, length].
        """
        queries, keys, values = (
            layer(read).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for layer, read in ((self.query, asking), (self.key, states), (self.value, states))
        )
        scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[-1]) + hidden
        found: torch.Tensor = self.joined((scores.softmax(-1) @ values).transpose(1, 2).flatten(2))
        return found


class Block(nn.Module):
    """Attention to what came before, and two linears, each added to what it reads."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: torch.Tensor, hidden: torch.Tensor, last: bool) -> torch.Tensor:
        """States of shape [rows, length, width], with `last` of the last position alone.

        Args:
            states: Shape [rows, length, width].
            hidden: Added to attention, [rows, 1, length, length], with `last` [rows, 1, 1, length].
            last: Whether the others are asked for no more.
        """
        normed = self.before(states)
        asking = normed[:, -1:] if last else normed
        states = (states[:, -1:] if last else states) + self.dropout(self.attention(asking, normed, hidden))
        return states + self.dropout(self.down(self.dropout(functional.gelu(self.up(self.between(states))))))


class SASRec(nn.Module):
    """Scores of items after each of a history, or after its last one."""

    def __init__(
        self, table: nn.Module, ids: int, length: int, width: int, layers: int, heads: int, inner: int, dropout: float
    ) -> None:
        super().__init__()
        self.table, self.places = table, nn.Embedding(length, width)
        self.layers = nn.ModuleList(Block(width, heads, inner, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.bias = nn.Parameter(torch.zeros(ids))

    def forward(self, items: torch.Tensor, candidates: torch.Tensor | None = None) -> torch.Tensor:
        """As the task recommendation wants it.

        Args:
            items: Ids, [rows, length], 0 before shorter histories.
            candidates: Ids that are scored after each item, [rows, some], all where there are none of them.

        Returns:
            Scores of all ids after the last item, [rows, ids]; with candidates [rows, length, candidates].
        """
        count = items.shape[1]
        # Counted from the latest item, so that a shorter history needs nothing before it.
        states = self.dropout(self.table(items) + self.places.weight[-count:])
        none = (items == 0)[:, None, None].to(states.dtype) * HIDDEN
        later = torch.full((count, count), HIDDEN, dtype=states.dtype, device=items.device).triu(1)
        for number, layer in enumerate(self.layers, 1):
            # Nothing comes later than the last one.
            last = candidates is None and number == len(self.layers)
            states = layer(states, none if last else none + later, last)
        states = self.norm(states)
        return scored(states, self.table, self.bias, candidates)


def sasrec(
    items: int,
    length: int,
    width: int = 64,
    layers: int = 2,
    heads: int = 2,
    inner: int | None = None,
    dropout: float = 0.3,
    buckets: int | None = None,
) -> nn.Module:
    """A net that nobody trained yet.

    Args:
        items: How many there are; the task says it.
        length: How many are read; the task says it.
        width: Of the vectors.
        layers: Blocks.
        heads: Of each block; divides the width.
        inner: Width between a block's two linears; by default twice the width.
        dropout: Share that is dropped in training.
        buckets: Rows of the smaller of two tables in place of one (`HashedTable`); about the root of the items gives
            the smallest ones.
    """
    if width % heads:
        raise ValueError(f"heads must divide the width, {width}, got {heads}")
    table = table_of(items + 1, width, buckets)
    return drawn(SASRec(table, items + 1, length, width, layers, heads, inner or 2 * width, dropout), buckets)
