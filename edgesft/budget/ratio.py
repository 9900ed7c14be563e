"""How much faster one model is than another that was measured beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesft.budget import bootstrap
from edgesft.budget.percentile import CONFIDENCE, Interval, needed, percentile

RESAMPLES = 2000
"""Resamples of the rounds; leaves about 0.5 points of error in a 5 % tail."""

SEED = 0
"""Fixed, so that the same measurement always gives the same verdict."""

FEWEST_ROUNDS = 5
"""With fewer rounds the resamples are too few different ones for a bound."""


def ratio(
    rounds_a: Sequence[Sequence[int]], rounds_b: Sequence[Sequence[int]], p: int, confidence: float = CONFIDENCE
) -> Interval:
    """The p-th percentile of a over that of b, with one-sided bounds by a paired bootstrap over the rounds.

    Whole rounds are drawn with replacement, the same ones for both models (Efron 1979, Bootstrap Methods: Another Look
    at the Jackknife). What slowed the machine in a round slowed both and cancels, and samples within a round need not
    be independent.

    Args:
        rounds_a: Nanoseconds by round; the i-th rounds of both were taken next to each other.
        rounds_b: As many rounds of the other model.
        p: Percent, 1 to 99.
        confidence: Probability, of each bound by itself, to hold.

    Returns:
        The bounds are None where rounds (`FEWEST_ROUNDS`) or samples (`needed`) are too few.

    Raises:
        ValueError: The numbers of rounds differ.
    """
    if len(rounds_a) != len(rounds_b):
        raise ValueError(f"rounds must be as many for both models, got {len(rounds_a)} and {len(rounds_b)}")
    flat_a, flat_b = (np.concatenate([np.asarray(taken) for taken in rounds]) for rounds in (rounds_a, rounds_b))
    value = percentile(flat_a, p) / percentile(flat_b, p)
    count = len(rounds_a)
    if count < FEWEST_ROUNDS or min(flat_a.size, flat_b.size) < needed(p, confidence):
        return Interval(value, None, None)
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    ratios = _resampled(rounds_a, drawn, p) / _resampled(rounds_b, drawn, p)
    return Interval(value, *bootstrap.bounds(ratios, count, confidence))


def _resampled(rounds: Sequence[Sequence[int]], drawn: np.ndarray, p: int) -> np.ndarray:
    """The percentile of each resample; `drawn` tells how often each round is in it, shape (resamples, rounds).

    The latency is bisected for all resamples at once: how many samples are at or below one is soon told from sorted
    rounds, and there may be millions of samples.
    """
    ordered = [np.sort(np.asarray(taken)) for taken in rounds]
    ranks = -(-p * (drawn @ [taken.size for taken in ordered]) // 100)
    low = np.full(len(drawn), min(int(taken[0]) for taken in ordered))
    high = np.full(len(drawn), max(int(taken[-1]) for taken in ordered))
    while (low < high).any():
        middle = (low + high) // 2
        below = sum(drawn[:, place] * taken.searchsorted(middle, side="right") for place, taken in enumerate(ordered))
        low, high = np.where(below >= ranks, low, middle + 1), np.where(below >= ranks, middle, high)
    return low
