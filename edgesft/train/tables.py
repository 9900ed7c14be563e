"""Embedding tables that are updated where a batch read them: their gradient is as large as the batch, not the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from edgesft.train.vocabulary import TrimmedEmbedding

FEWEST_ROWS = 4096
"""Of a table that gains: a batch reads most rows of smaller ones, such as those of positions."""


@contextmanager
def sparse_gradients(model: nn.Module) -> Iterator[None]:
    """Within it the large tables of a model have gradients that hold the rows of the batch alone.

    Tables that are tied to another module, for its use makes a gradient of the whole, are left as they are.
    """
    tables = _tables(model)
    for table in tables:
        table.sparse = True
    try:
        yield
    finally:
        for table in tables:
            table.sparse = False


def _tables(model: nn.Module) -> list[nn.Embedding]:
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return [
        module
        for module in model.modules()
        if type(module) in (nn.Embedding, TrimmedEmbedding)
        and not module.sparse
        and not module.scale_grad_by_freq
        and module.max_norm is None
        and module.num_embeddings >= FEWEST_ROWS
        and module.weight.requires_grad
        and owners[id(module.weight)] == 1
    ]


class TableAdamW(torch.optim.AdamW):
    """AdamW that leaves the rows of a table alone which no row of the batch read.

    Of the rows that were read moments, decay and weights change as AdamW's do; of the others all stay, where AdamW
    would go on along their moments. Bias correction counts the steps of the table. This is the lazy Adam of
    `torch.optim.SparseAdam`, with AdamW's decay (Loshchilov and Hutter 2017, arXiv 1711.05101).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; gradients of tables are gone after it."""
        if closure is not None:
            raise ValueError("closure must be none, for sparse gradients are taken before it could be called")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    self._update(parameter, group)
                    parameter.grad = None
        return super().step()

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad.coalesce(), self.state[parameter]  # type: ignore[union-attr]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        step, rows, values = float(state["step"]), gradient.indices()[0], gradient.values()
        (beta1, beta2), rate = group["betas"], group["lr"]
        mean = state["exp_avg"][rows].lerp_(values, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(values, values, value=1 - beta2)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        root = square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
        kept = parameter[rows].mul_(1 - rate * group["weight_decay"])
        parameter[rows] = kept.addcdiv_(mean, root, value=-rate / (1 - beta1**step))


def clip(parameters: Sequence[torch.Tensor], largest: float) -> torch.Tensor:
    """Scales gradients, sparse ones too, so that their norm together is at most `largest`.

    Returns:
        The norm before.
    """
    held = [parameter for parameter in parameters if parameter.grad is not None]
    for parameter in held:
        if parameter.grad.is_sparse:  # type: ignore[union-attr]
            parameter.grad = parameter.grad.coalesce()  # type: ignore[union-attr]
    dense = [_values(parameter.grad) for parameter in held if parameter.grad is not None]
    norm = get_total_norm(dense)
    clip_grads_with_norm_([parameter for parameter in held if not parameter.grad.is_sparse], largest, norm)  # type: ignore[union-attr]
    share = (largest / (norm + 1e-6)).clamp(max=1.0)  # As clip_grads_with_norm_ has it.
    for parameter in held:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad.values().mul_(share)
    return norm


def _values(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.values() if gradient.is_sparse else gradient
