"""Sampling: how the next token is chosen from the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesft.errors import InputError, Problem


@dataclass(frozen=True)
class Sampling:
    """Settings of sampling.

    Attributes:
        temperature: Divisor of the scores; 0 always takes the most likely token, whatever the other settings.
        top_k: Samples from this many of the most likely tokens; 0 is all.
        top_p: Samples from the most likely tokens that have this total probability (Holtzman et al. 2019, arXiv
            1904.09751).
        seed: Random seed; the same seed gives the same tokens.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "temperature": (self.temperature >= 0, "at least 0"),
            "top_k": (self.top_k >= 0, "at least 0"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "seed": (self.seed >= 0, "at least 0"),
        }
        wrong = [
            f"{name} must be {words}, got {getattr(self, name)}" for name, (holds, words) in limits.items() if not holds
        ]
        if wrong:
            raise InputError([Problem(each) for each in wrong])

    def generator(self) -> np.random.Generator:
        """Where the chance of one answer comes from."""
        return np.random.default_rng(self.seed)
