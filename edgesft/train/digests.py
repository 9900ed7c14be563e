"""What tells whether tensors are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch


class Digest(Protocol):
    """One of hashlib's."""

    def update(self, data: bytes, /) -> None:
        """Adds bytes."""


def add_tensors(digest: Digest, tensors: Mapping[str, torch.Tensor]) -> None:
    """Adds tensors to a digest: names, types, shapes and values, in the order given."""
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
