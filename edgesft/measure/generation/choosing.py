"""The next token of scores: the likeliest, or one by chance. A kit has this file, too: it needs numpy alone."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Chances(Protocol):
    """What chance there is (`sampling.Sampling`)."""

    @property
    def temperature(self) -> float:
        """Scores are divided by it; 0 takes the likeliest token."""

    @property
    def top_k(self) -> int:
        """Only so many of the likeliest tokens are drawn from; 0 is all."""

    @property
    def top_p(self) -> float:
        """Only the likeliest tokens are drawn from that have this share of the probability together."""


def choose(scores: np.ndarray, chances: Chances, rng: np.random.Generator) -> int:
    """The next token.

    Args:
        scores: Before softmax, shape [vocabulary].
        chances: How.
        rng: Where the chance comes from.
    """
    if chances.temperature == 0:
        return int(scores.argmax())
    order = np.argsort(-scores, kind="stable")
    if chances.top_k:
        order = order[: chances.top_k]
    scaled = scores[order].astype(np.float64) / chances.temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    # As many as reach the share, the one that crosses it included.
    kept = int(np.searchsorted(np.cumsum(shares), chances.top_p) + 1)
    shares = shares[:kept] / shares[:kept].sum()
    return int(rng.choice(order[:kept], p=shares))
