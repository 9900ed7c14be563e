"""Which tokens a model reads alike: what a text may have instead and still say about the same."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgesft.errors import StageError

NEAREST = 8
"""Neighbours of each token: of MiniLM's the first ones are other forms and near synonyms, further ones of a kind.
Jiao et al. 2019 (arXiv 1909.10351, section 4.3) take 15, of vectors that were made for it."""

PART = 2048
"""Tokens that are compared with all at a time."""


def neighbours(model: nn.Module, tokens: Collection[int]) -> np.ndarray:
    """The nearest others of each token by the cosine of their input embeddings; int64 of shape [ids, NEAREST].

    Args:
        model: Holds a model of transformers.
        tokens: Ids to choose from and for; all other ids have themselves for neighbours.

    Raises:
        StageError: The model has no table of tokens.
    """
    table = _table(model)
    if table is None:
        raise StageError("token_substitution: the model must have a table of tokens. Got none")
    ids = torch.as_tensor(sorted(tokens))
    found = np.repeat(np.arange(int(ids.max()) + 1)[:, None], NEAREST, axis=1)
    with torch.no_grad():
        vectors = functional.normalize(table(ids).float(), dim=-1)
        for first in range(0, len(ids), PART):
            alike = vectors[first : first + PART] @ vectors.T
            own = torch.arange(first, first + len(alike))
            alike[torch.arange(len(alike)), own] = -2.0
            nearest = alike.topk(min(NEAREST, len(ids) - 1)).indices
            found[ids[own].numpy(), : nearest.shape[1]] = ids[nearest].numpy()
    return found


def _table(model: nn.Module) -> nn.Module | None:
    for module in model.modules():
        get = getattr(module, "get_input_embeddings", None)
        try:
            table = get() if get else None
        except NotImplementedError:
            continue
        if isinstance(table, nn.Embedding):
            return table
    return None
