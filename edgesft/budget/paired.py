"""Whether one model is slower than another, from blocks in which both were measured beside each other.

A block is a fresh process of each model and a few rounds in which both have a turn, in an order that is drawn anew.
What slows the machine for longer than a round slows both and cancels in the round's ratio; that processes of one and
the same model differ for as long as they live (where their memory lies) shows as a difference between blocks. So a
block is one observation, however many samples it holds, and blocks are independent: the mean of their log ratios has
Student's interval (Kalibera and Jones 2013, Rigorous Benchmarking in Reasonable Time, ISMM: repeat at the highest level
that varies; the randomised block is Fisher's). Rounds within a process can only make its observation better.

Now and then a whole block is disturbed, and one such among many would hide what the others agree on. So from eight
blocks on the mean is trimmed, with Tukey and McLaughlin's interval (1963, Less Vulnerable Confidence and Significance
Procedures for Location Based on a Single Sample, Sankhya A 25).

Two models are told apart by a limit half way between none and the least effect that must be found: equal ones lie as
far below it as those of that effect lie above. The error is spent over looks as `sequential` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from edgesft.budget.bootstrap import student
from edgesft.budget.percentile import CONFIDENCE, Interval, percentile
from edgesft.budget.sequential import confidence_at

Change = Literal["slower", "faster", "same", "not slower", "undecided"]

FIRST_LOOK = 4
"""Blocks at the first look: with three, Student's quantile is half as large again."""

BEYOND = 2
"""Least samples of a block beyond a percentile, so that it is not the maximum under another name."""


TRIMMED_FROM = 8
"""Blocks from which on a fifth is left out at either end: of fewer, too little would be left to tell the spread."""


class Location(NamedTuple):
    """Where effects lie.

    Attributes:
        middle: Their mean, trimmed.
        spread: Standard deviation of a block that gives the mean the standard error `spread` / sqrt(blocks).
        freedom: Degrees of freedom of the spread.
    """

    middle: float
    spread: float
    freedom: int


class Block(NamedTuple):
    """Nanoseconds by round of both models, each in a process of its own; the i-th rounds were taken side by side."""

    candidate: Sequence[Sequence[int]]
    baseline: Sequence[Sequence[int]]


def effect(block: Block, p: int) -> float | None:
    """Log of how much longer the candidate takes at a percentile; None where the block has too few samples for it.

    The median is compared round by round and the middle of those ratios taken, so that a disturbance that begins
    or ends within the block touches one of them. Rounds are too short to tell a higher percentile, which is
    taken over the whole block.
    """
    if p == 50:
        pairs = zip(block.candidate, block.baseline, strict=True)
        return float(np.median([math.log(np.median(ours) / np.median(theirs)) for ours, theirs in pairs]))
    ours, theirs = (np.concatenate([np.asarray(taken) for taken in rounds]) for rounds in block)
    if min(ours.size, theirs.size) * (100 - p) < BEYOND * 100:
        return None
    return math.log(percentile(ours, p) / percentile(theirs, p))


def trimmed(number: int) -> int:
    """How many of so many blocks are left out at either end: a fifth, none of few."""
    return number // 5 if number >= TRIMMED_FROM else 0


def location(effects: Sequence[float]) -> Location:
    """Trimmed mean of the effects and how far they spread.

    Raises:
        ValueError: There is no block.
    """
    if not len(effects):
        raise ValueError("effects must be of at least one block, got none")
    number, out = len(effects), trimmed(len(effects))
    ordered = np.sort(effects)
    kept = ordered[out : number - out]
    winsorised = np.clip(ordered, kept[0], kept[-1])
    spread = float(np.std(winsorised, ddof=1)) * math.sqrt((number - 1) / (kept.size - 1)) if number > 1 else math.inf
    return Location(float(np.mean(kept)), spread * math.sqrt(number / kept.size), kept.size - 1)


def ratio(effects: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Candidate over baseline: the blocks' geometric mean, with one-sided bounds; none of them with few blocks.

    Args:
        effects: Log ratio of each block.
        confidence: Probability, of each bound by itself, to hold.

    Raises:
        ValueError: There is no block.
    """
    middle, spread, freedom = location(effects)
    if len(effects) < FIRST_LOOK:
        return Interval(math.exp(middle), None, None)
    away = student(confidence, freedom) * spread / math.sqrt(len(effects))
    return Interval(math.exp(middle), math.exp(middle - away), math.exp(middle + away))


def limit(min_effect: float) -> float:
    """The ratio above which a candidate is slower: half way, in logarithms, from 1 to 1 + `min_effect`."""
    return math.sqrt(1 + min_effect)


def floor(effects: Sequence[float], blocks: int, *, doubt: float = 0.5) -> float:
    """The least effect that so many blocks would tell from none on this machine.

    Equal models are decided when the upper bound is within the limit, thus where half the effect is as large as what
    the bound lies away from the value.

    Args:
        effects: Log ratio of each block so far, two or more, which tell how blocks vary.
        blocks: That can be had in the time.
        doubt: How small the blocks' variation is taken: by a bound that is above the truth with this probability.
    """
    _, spread, freedom = location(effects)
    number = 1
    while blocks_at(number) < blocks:
        number += 1
    spread *= math.sqrt(freedom / _chi_square(1 - doubt, freedom))
    later = max(blocks, FIRST_LOOK)
    away = student(confidence_at(number), later - 2 * trimmed(later) - 1) * spread / math.sqrt(blocks)
    return math.exp(2 * away) - 1


def _chi_square(share: float, freedom: int) -> float:
    """Quantile of chi square after Wilson and Hilferty (1931), The Distribution of Chi-Square, PNAS 17."""
    part = 2 / (9 * freedom)
    return freedom * float((1 - part + NormalDist().inv_cdf(share) * math.sqrt(part)) ** 3)


def blocks_at(look: int) -> int:
    """Blocks in all at which this look, counted from 1, is due; the last one is also taken when the time is up."""
    return FIRST_LOOK * 2 ** (look - 1)


def change(found: Interval, bar: float) -> Change:
    """What an interval says, held against a ratio above which the candidate is slower."""
    _, lower, upper = found
    if lower is None or upper is None:
        return "undecided"
    if lower > bar:
        return "slower"
    if upper < 1 / bar:
        return "faster"
    if upper <= bar:
        return "same" if lower >= 1 / bar else "not slower"
    return "undecided"


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes:
        number: From 1.
        confidence: Of each bound at this look, by itself.
        ratios: Figure → candidate over baseline.
        decided: Whether every figure that gates is.
    """

    number: int
    confidence: float
    ratios: Mapping[str, Interval]
    decided: bool


def look(effects: Mapping[str, Sequence[float]], gating: Sequence[str], bar: float, number: int) -> Look:
    """Looks at all figures.

    Args:
        effects: Figure → log ratio of each block.
        gating: Figures that must be decided; one without effects is not.
        bar: The ratio above which the candidate is slower.
        number: Of this look, from 1; each number is used once.
    """
    confidence = confidence_at(number)
    ratios = {name: ratio(found, confidence) for name, found in effects.items() if found}
    decided = all(name in ratios and change(ratios[name], bar) != "undecided" for name in gating)
    return Look(number, confidence, ratios, decided)
