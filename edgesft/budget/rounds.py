"""Percentile bounds from samples that were taken in rounds and may depend on each other.

Order statistics need independent samples. A machine gives no such promise: what slows one inference often slows the
next ones. How much that matters can be read from the rounds. Were the samples independent, the number at or below a
threshold would differ between rounds as the binomial distribution says; how much more it differs is the design effect,
and dividing the number of samples by it gives the number of independent ones that would tell as much. The exact
bounds of `percentile` are then taken for that number (Korn and Graubard 1998, Confidence Intervals for Proportions
with Small Expected Number of Positive Counts Estimated from Survey Data, Survey Methodology 24; turning bounds of a
share into bounds of a percentile is Woodruff 1952, Confidence Intervals for Medians and Other Position Measures, JASA
47). For independent samples this is hardly wider than the exact bounds, and it keeps their smallest n. Where the rounds
are worth so few that the extreme sample of thousands would be the bound, it goes no further than `Rounds.outermost`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from edgesft.budget.bootstrap import student
from edgesft.budget.percentile import CONFIDENCE, ROUNDING, Interval, needed, ranks

FEWEST_ROUNDS = 5
"""With fewer rounds nothing can be said of how they differ, and there is no bound."""

UNLIKE = 0.01
"""Rounds differ by more than chance when independent samples would differ so much with at most this probability."""

ENOUGH_ROUNDS = 16
"""Rounds that differ by more than chance count as independent draws when there are so many of them, cautiously
counted. Found with bench/statistics.py: with half as many, bounds on slowly wandering machines hold too rarely; with
twice as many, hardly one of those machines is ever decided."""

OUTWARDS = 4.0
"""See `Rounds.outermost`."""

MOST_LAG = 0.95
"""A higher autocorrelation is taken for this, which leaves one round of 39."""


class Dependence(NamedTuple):
    """How the number of samples at or below a threshold varies between rounds.

    Attributes:
        clustering: Its variance over that of independent samples; about 1 where samples are independent, and taken
            for 1 where all are equal or the rounds are fewer than `FEWEST_ROUNDS`.
        lag: Its autocorrelation from one round to the next, corrected for the estimate's bias.
    """

    clustering: float
    lag: float


@dataclass(frozen=True, eq=False)
class Rounds:
    """Samples with the round that each is of, sorted once for all questions.

    Attributes:
        values: Nanoseconds, ascending; shape (samples,).
        owners: Round of each of those, from 0; shape (samples,).
        sizes: Samples of each round; shape (rounds,).
    """

    values: np.ndarray
    owners: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, rounds: Taken) -> Rounds:
        """Sorts the samples of the rounds, which are in the order they were taken; empty ones are left out.

        Raises:
            ValueError: There is no sample.
        """
        if isinstance(rounds, Rounds):
            return rounds
        held = [np.asarray(taken) for taken in rounds if len(taken)]
        if not held:
            raise ValueError("rounds must hold at least one sample, got none")
        sizes = np.array([taken.size for taken in held])
        values = np.concatenate(held)
        # The smallest type that fits lets numpy sort the owners by radix, which is much faster.
        owners = np.repeat(np.arange(len(held), dtype=np.min_scalar_type(len(held))), sizes)
        order = np.argsort(values)
        return cls(values[order], owners[order], sizes)

    @property
    def count(self) -> int:
        """Number of rounds."""
        return len(self.sizes)

    @cached_property
    def medians(self) -> np.ndarray:
        """Median of each round by nearest rank; shape (rounds,)."""
        by_round = self.values[np.argsort(self.owners, kind="stable")]
        return np.asarray(by_round[np.cumsum(self.sizes) - self.sizes + (self.sizes - 1) // 2])

    def percentile(self, p: int) -> int:
        """The p-th percentile by nearest rank."""
        return int(self.values[-(-p * self.values.size // 100) - 1])

    def dependence(self, p: int) -> Dependence:
        """How the number of samples at or below the p-th percentile varies between rounds.

        Counts and not latencies are compared, so that neither a heavy tail nor two modes can blow the variance up.
        Samples that equal the percentile count as so large a part of one that p % in all are below: a coarse clock
        must not hide that whole rounds are slow.
        """
        share, value = p / 100, self.percentile(p)
        below, upto = np.searchsorted(self.values, value), np.searchsorted(self.values, value, side="right")
        part = (share * self.values.size - below) / (upto - below)
        variance = (below + part**2 * (upto - below)) / self.values.size - share**2
        if self.count < FEWEST_ROUNDS or variance < ROUNDING:
            return Dependence(1.0, 0.0)
        equal = np.bincount(self.owners[below:upto], minlength=self.count)
        counts = np.bincount(self.owners[:below], minlength=self.count) + part * equal
        away = (counts - share * self.sizes) / np.sqrt(self.sizes * variance)
        total = float(away @ away)
        lag = float(away[1:] @ away[:-1]) / total if total > ROUNDING else 0.0
        # Around an estimated mean the autocorrelation comes out too low by about (1 + 3 lag) / rounds
        # (Kendall 1954, Note on Bias in the Estimation of Autocorrelation, Biometrika 41).
        return Dependence(total / (self.count - 1), lag + (1 + 3 * max(lag, 0)) / self.count)

    @cached_property
    def body(self) -> Dependence:
        """The dependence of the median, which more samples tell of than of any other percentile."""
        return self.dependence(50)

    def outermost(self, p: int) -> tuple[int, int]:
        """Bounds of the p-th percentile where the rounds are worth too few independent samples for close ones.

        The least and the greatest of the rounds' own percentiles, `OUTWARDS` times the range of their medians further
        out: where a few looks at a slow wander leave its end unknown, that it goes on as far again on either side is
        allowed for. No theory gives the factor; it holds on the machines that `bench/statistics.py` simulates.
        """
        by_round = self.values[np.argsort(self.owners, kind="stable")]
        own = by_round[np.cumsum(self.sizes) - self.sizes + -(-p * self.sizes // 100) - 1]
        away = 1 + OUTWARDS * float(np.ptp(self.medians) / np.median(self.medians))
        return math.floor(own.min() / away), math.ceil(own.max() * away)

    @cached_property
    def unlike(self) -> bool:
        """Whether the rounds differ by more than independent samples would: a test of dispersion on the median."""
        freedom = self.count - 1
        if freedom < FEWEST_ROUNDS - 1:
            return False
        # Quantile of chi square after Wilson and Hilferty (1931), The Distribution of Chi-Square, PNAS 17.
        z, part = NormalDist().inv_cdf(1 - UNLIKE), 2 / (9 * freedom)
        return self.body.clustering > (1 - part + z * math.sqrt(part)) ** 3

    @cached_property
    def independent(self) -> float:
        """So many independent rounds tell as much as these, cautiously: autocorrelation is taken one error higher."""
        return self.count / carry(self.body.lag + 1 / math.sqrt(self.count))

    @cached_property
    def doubt(self) -> float:
        """How far the level may be off because the rounds wander: a share of the latency, often 0.

        Rounds that differ no more than chance, or of which there are many independent ones, speak for themselves.
        Else nobody knows where the level would have gone next, and it is trusted only to within the whole range of the
        rounds' medians.
        """
        if not self.unlike or self.independent >= ENOUGH_ROUNDS:
            return 0.0
        low, middle, high = np.percentile(self.medians, (0, 50, 100))
        return float((high - low) / middle)


Taken = Rounds | Sequence[Sequence[int]] | np.ndarray
"""Samples by round, in the order they were taken: sorted already, or not yet; an array has shape (rounds, samples)."""


def carry(lag: float) -> float:
    """How much autocorrelation inflates the variance of a mean: (1 + lag) / (1 - lag), at least 1.

    Bayley and Hammersley 1946, The "Effective" Number of Independent Observations in an Autocorrelated Time Series.
    """
    lag = min(max(lag, 0.0), MOST_LAG)
    return (1 + lag) / (1 - lag)


def effective(rounds: Taken, p: int, confidence: float = CONFIDENCE) -> int:
    """So many independent samples tell as much about the p-th percentile; 0 with fewer than `FEWEST_ROUNDS` rounds.

    That the design effect is itself an estimate from few rounds is paid for by the ratio of Student's quantile to the
    normal one, squared, as Korn and Graubard propose.
    """
    taken = Rounds.of(rounds)
    if taken.count < FEWEST_ROUNDS:
        return 0
    clustering, lag = taken.dependence(p)
    unsure = student(confidence, taken.count - 1) / NormalDist().inv_cdf(confidence)
    return int(taken.values.size / max(1.0, clustering * carry(lag) * unsure**2))


def interval(rounds: Taken, p: int, confidence: float = CONFIDENCE) -> Interval:
    """The p-th percentile of all samples, with one-sided bounds that allow for dependence between the samples.

    Args:
        rounds: Nanoseconds by round, in the order they were taken.
        p: Percent, 1 to 99.
        confidence: Probability, of each bound by itself, to hold.

    Returns:
        Nanoseconds; a bound is None where there are too few samples or rounds for it. It is an order statistic; where
        the samples are worth too few independent ones (`effective`) it is `Rounds.outermost`, and where they are worth
        so few that it would be the extreme sample, the nearer of the two: that may be a single hiccup of thousands.

    Raises:
        ValueError: There is no sample.
    """
    taken = Rounds.of(rounds)
    total, count = taken.values.size, effective(taken, p, confidence)
    low, high = ranks(count, p, confidence)
    wider = 1 + taken.doubt
    lower = None if low is None else math.floor(taken.values[low * total // count - 1] / wider)
    upper = None if high is None else math.ceil(taken.values[-(-high * total // count) - 1] * wider)
    if taken.count >= FEWEST_ROUNDS and total >= needed(p, confidence):
        least, most = taken.outermost(p)
        if lower is None or low == 1:
            lower = least if lower is None else max(lower, least)
        if upper is None or high == count:
            upper = most if upper is None else min(upper, most)
    return Interval(taken.percentile(p), lower, upper)
