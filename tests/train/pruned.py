"""Pruning by hand, so that saving can be tested without the pruner."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def shrink(layer: nn.Linear, outputs: int | None = None, inputs: int | None = None) -> nn.Linear:
    """The first outputs and inputs of a linear layer."""
    weight = layer.weight[:outputs, :inputs].detach().clone()
    made = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(layer.bias[:outputs])
    return made


def bert(model: Any) -> None:
    """Halves the heads of the first layer (4 × 8 → 2 × 8) and the feed-forward of the second (64 → 24)."""
    first, second = model.bert.encoder.layer
    attention = first.attention.self
    for name in ("query", "key", "value"):
        setattr(attention, name, shrink(getattr(attention, name), outputs=16))
    attention.num_attention_heads, attention.all_head_size = 2, 16
    first.attention.output.dense = shrink(first.attention.output.dense, inputs=16)
    second.intermediate.dense = shrink(second.intermediate.dense, outputs=24)
    second.output.dense = shrink(second.output.dense, inputs=24)
