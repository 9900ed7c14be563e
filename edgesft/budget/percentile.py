"""Percentiles of latency samples, with bounds that assume nothing about their distribution.

The bounds are order statistics: of n independent samples the number that lies below the true p-th percentile is
binomial (n, p), whatever the distribution, if it is continuous; ties only make the bounds wider than they must be
(David and Nagaraja, Order Statistics, 3rd edition, section 7.1). Samples of a machine that throttles or is disturbed
are not independent, so that the count is necessary and not sufficient: `rounds` allows for that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
"""One-sided confidence of every timed line."""

NEVER = 2**61
"""Nanoseconds that stand for no answer at all, where one without it is among the samples: 73 years are above every
limit, and two of them still fit into 64 bits."""

ROUNDING = 1e-9
"""A probability that misses the confidence by less than this reaches it."""


class Interval(NamedTuple):
    """A value with its one-sided bounds; a bound is None where the samples do not carry it."""

    value: float
    lower: float | None
    upper: float | None


def percentile(samples: Sequence[int] | np.ndarray, p: int) -> int:
    """The p-th percentile by nearest rank: the smallest sample that at least p % of the samples do not exceed.

    Args:
        samples: At least one integer.
        p: Percent, 1 to 99.

    Raises:
        ValueError: There is no sample, or p is out of range.
    """
    values = np.asarray(samples)
    if not 1 <= p <= 99 or not values.size:
        raise ValueError(f"percentile needs samples and p from 1 to 99, got {values.size} samples and p={p}")
    rank = -(-p * values.size // 100)
    return int(np.partition(values, rank - 1)[rank - 1])


def bounds(
    samples: Sequence[int] | np.ndarray, p: int, confidence: float = CONFIDENCE
) -> tuple[int | None, int | None]:
    """Lower and upper bound of the true p-th percentile, each one-sided at the confidence.

    Args:
        samples: Independent samples.
        p: Percent, 1 to 99.
        confidence: Probability, of each bound by itself, to hold.

    Returns:
        Two of the samples; None where there are too few for that bound (`needed` tells how many).
    """
    values = np.sort(np.asarray(samples))
    low, high = ranks(values.size, p, confidence)
    return (None if low is None else int(values[low - 1])), (None if high is None else int(values[high - 1]))


def interval(samples: Sequence[int] | np.ndarray, p: int, confidence: float = CONFIDENCE) -> Interval:
    """`percentile` and `bounds` together."""
    return Interval(percentile(samples, p), *bounds(samples, p, confidence))


@lru_cache(maxsize=256)
def ranks(count: int, p: int, confidence: float) -> tuple[int | None, int | None]:
    """Ranks, counted from 1, of the samples that bound the p-th percentile: the tightest that hold the confidence.

    With B binomial (count, p %), the r-th smallest sample is at or above the percentile with probability P(B <= r - 1),
    and at or below it with P(B >= r).
    """
    if count == 0:
        return None, None
    below = np.cumsum(_binomial(count, p / 100))
    high = int(np.searchsorted(below, confidence - ROUNDING)) + 1
    # P(B >= r) = 1 - P(B <= r - 1) >= confidence; r runs over 1 … count.
    low = int(np.searchsorted(below, 1 - confidence + ROUNDING, side="right"))
    return (low if low >= 1 else None), (high if high <= count else None)


def needed(p: int, confidence: float = CONFIDENCE) -> int:
    """Least number of samples that give the p-th percentile an upper bound.

    At 95 % that is 29 for p90, 59 for p95 and 299 for p99: the greatest of n samples exceeds the percentile with
    probability 1 - (p / 100)^n.
    """
    return math.ceil(math.log(1 - confidence) / math.log(p / 100) - ROUNDING)


def _binomial(count: int, share: float) -> np.ndarray:
    """Probabilities of 0 … count successes, from the ratios of neighbours in logarithms; shape (count + 1,)."""
    successes = np.arange(count)
    ratios = np.log((count - successes) / (successes + 1)) + math.log(share / (1 - share))
    logs = np.concatenate(([0.0], np.cumsum(ratios)))
    masses = np.exp(logs - logs.max())
    return np.asarray(masses / masses.sum())
