"""Dropout whose random numbers cost little on a CPU: a byte each, eight at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LEVELS = 256
"""A byte's values. The share that is dropped is the nearest of so many, 26 / 256 for 0.1; what is kept grows by exactly
what that drops, so that the mean stays."""


class ByteDropout(TorchFunctionMode):
    """Within it `torch.nn.functional.dropout`, and with it `nn.Dropout`, draws bytes instead of floats.

    torch draws its masks one by one, which takes a sixth of a small encoder's training on a CPU. The generator is
    torch's own, so that a seed decides as before.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Any function of torch, unchanged but for dropout."""
        if func is functional.dropout:
            return _dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    limit = round(p * LEVELS)
    if not training or p == 0:
        return input
    if not 0 < limit < LEVELS or inplace or input.device.type != "cpu":
        return functional.dropout(input, p, training, inplace)
    kept: torch.Tensor = _Bytes.apply(input, limit)
    return kept


class _Bytes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, limit: int) -> torch.Tensor:
        count = values.numel()
        words = torch.randint(-(2**63), 2**63 - 1, ((count + 7) // 8,), dtype=torch.int64)
        kept = words.view(torch.uint8)[:count].view(values.shape) >= limit
        ctx.save_for_backward(kept)
        ctx.scale = LEVELS / (LEVELS - limit)
        return values * kept * ctx.scale

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (kept,) = ctx.saved_tensors
        return gradients[0] * kept * ctx.scale, None
