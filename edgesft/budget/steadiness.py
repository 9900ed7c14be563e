"""Whether the machine held still while it was measured: drift, slow wander, spread, and a grade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from edgesft.budget.rounds import ENOUGH_ROUNDS, Rounds, Taken

Grade = Literal["A", "B", "C"]

STEADY = 0.05
"""Grade A: neither drift nor the spread of the rounds' medians is above this share. Less is no problem either."""

SHAKY = 0.15
"""Grade B: neither is above this share."""

TREND = 0.001
"""A trend is real when chance alone shows such a one with at most this probability; small, as it is looked at often."""

ERRORS = 2.33
"""Autocorrelation is real when it is so many standard errors above 0: one-sided 99 %."""


@dataclass(frozen=True)
class Steadiness:
    """How still the machine held.

    Attributes:
        drift: Median of the last quarter of the rounds over that of the first: 1.10 is 10 % slower at the end.
        trend: Probability that chance alone makes the rounds' medians rise or fall so steadily.
        autocorrelation: Of how many samples of a round are at or below the overall median, from one round to the
            next. The trend is left in: where drift is not one, it is the slowest wander of all.
        wandering: Whether that autocorrelation, and the difference between rounds that carries it, are beyond chance.
        spread: Interquartile range of the rounds' medians, as a share of their median.
        grade: A: settled warm-up, drift and spread within 5 %. B: drift and spread within 15 %. C: anything else.
        problems: Why absolute times of this measurement decide nothing; empty where it is sound.
    """

    drift: float
    trend: float
    autocorrelation: float
    wandering: bool
    spread: float
    grade: Grade
    problems: tuple[str, ...]


def steadiness(rounds: Taken, *, warm: bool = True) -> Steadiness:
    """Judges how still the machine held.

    A problem is both beyond chance and large enough to matter: a trend with a drift above 5 %; or autocorrelation
    between rounds whose medians spread by more than 5 %, unless so many rounds were taken that they are worth
    `rounds.ENOUGH_ROUNDS` independent ones. Independent samples of any distribution show one with a probability below
    0.2 % at each look.

    Args:
        rounds: Nanoseconds by round, in the order they were taken.
        warm: Whether the warm-up settled.

    Raises:
        ValueError: There is no sample.
    """
    taken = Rounds.of(rounds)
    low, middle, high = np.percentile(taken.medians, (25, 50, 75))
    moved, spread = drift(taken), float((high - low) / middle)
    lag = taken.body.lag
    wandering = taken.unlike and lag * math.sqrt(taken.count) > ERRORS
    chance = trend(taken.medians)
    problems = []
    if chance <= TREND and abs(moved - 1) > STEADY:
        problems.append(
            f"latency drifted by {moved - 1:+.0%} while it was measured: warm up for longer, cool the machine, "
            "fix its clock"
        )
    if wandering and spread > STEADY and taken.independent < ENOUGH_ROUNDS:
        problems.append(
            f"latency wandered slowly: {taken.count} rounds, whose medians spread by {spread:.0%}, are worth only "
            f"{taken.independent:.0f} independent ones where {ENOUGH_ROUNDS} decide: quieten the machine, or measure "
            "for longer"
        )
    return Steadiness(moved, chance, lag, wandering, spread, _grade(max(abs(moved - 1), spread), warm), tuple(problems))


def drift(rounds: Taken) -> float:
    """Median of the last quarter of the rounds over that of the first."""
    taken = Rounds.of(rounds)
    quarter = max(1, taken.count // 4)
    first, last = taken.owners < quarter, taken.owners >= taken.count - quarter
    return _median(taken.values[last]) / _median(taken.values[first])


def trend(medians: Sequence[int] | np.ndarray) -> float:
    """Two-sided probability of so steady a rise or fall among independent values of any one distribution.

    Mann 1945, Nonparametric Tests Against Trend, Econometrica 13, with Kendall's correction of the variance for ties.
    """
    values = np.asarray(medians)
    count = values.size
    score = int(np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)].sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (count * (count - 1) * (2 * count + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    if variance <= 0:
        return 1.0
    return min(1.0, 2 * NormalDist().cdf(-(abs(score) - 1) / math.sqrt(variance)))


def _median(ascending: np.ndarray) -> float:
    return float(ascending[(ascending.size - 1) // 2])


def _grade(worst: float, warm: bool) -> Grade:
    if worst <= STEADY and warm:
        return "A"
    return "B" if worst <= SHAKY else "C"
