"""Where a series of figures, one a commit or a day, went from one level to another.

A level is fitted piece by piece: the pieces that cost least, where a point costs its squared distance from its level
in units of the noise, but at most `CAP` squared, and every further piece a penalty (Fearnhead and Rigaill 2019,
Changepoint Detection in the Presence of Outliers, JASA 114: with a bounded loss, a single bad run never pays for a
level of its own). The minimum is found by dynamic programming over time and candidate levels. That fit proposes; each
step must then stand a test against the noise around both of its levels, in which no step rests on a single point, and
what fails it is taken out, the weakest first. The limit of that test holds for noise that remembers: a machine that is
slow today is likely to be slow tomorrow.

How often pure noise shows any step, and how often true ones are found, is simulated in `tests/budget/test_steps.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from edgesft.budget.bootstrap import student
from edgesft.budget.percentile import CONFIDENCE, Interval

CAP = 3.0
"""Deviations of the noise beyond which a point costs no more: Fearnhead and Rigaill, section 5."""

PENALTY = 2.0
"""Of a further piece, in units of log n: Schwarz's criterion with a parameter for its level and one for its place (Yao
1988, Estimating the Number of Change-Points via Schwarz' Criterion, Statistics & Probability Letters 6)."""

LEAST = 2
"""Points of a level: a single one is an outlier, not a level."""

FEWEST = 5
"""Points of a series in which steps are looked for: with four, two against two, the noise is as good as unknown."""

TUNING = 1.5
"""Deviations at which Huber's location begins to weigh points less (Huber 1981, Robust Statistics, section 4.5)."""

REMEMBERED = 0.3
"""Autocorrelation from one run to the next that noise is taken to have at least. Too few runs tell it, and taken for 0
where it is 0.3, every tenth series of pure noise would show a step."""

TRUSTED = 40
"""Points that `REMEMBERED` weighs against the autocorrelation that a series shows."""

MOST_REMEMBERED = 0.8
"""A higher autocorrelation is taken for this: then a mean of runs says a third of what it seems to."""

SHORT = 5
"""A level of so few points must differ without the one of them that speaks for it most."""

MARGIN = 0.8
"""What the limit of the test has above the largest of n normal deviates, for a scale that is itself estimated; found by
simulation, as the lowest that keeps false steps below 5 % of series."""

MAD = 1.4826
"""Standard deviation of normal values over the median of their absolute ones."""

_NORMAL = NormalDist()
_BODY = 2 * (_NORMAL.cdf(TUNING) - 0.5) - 2 * TUNING * _NORMAL.pdf(TUNING)
SHRINKAGE = _BODY + 2 * TUNING**2 * (1 - _NORMAL.cdf(TUNING))
"""Mean square of standard normal values that are cut off at `TUNING`."""


@dataclass(frozen=True)
class Step:
    """A change from one level to the next.

    Attributes:
        at: Place of the first point of the new level.
        before: Level before it.
        after: Level from it on.
        change: New level over old, or new less old where values are not compared by ratio; with one-sided bounds, which
            are None where the values do not vary.
    """

    at: int
    before: float
    after: float
    change: Interval


@dataclass(frozen=True)
class Steps:
    """What became of a series.

    Attributes:
        steps: In the order of time.
        level: Now; of all points where there is no step.
        noise: Standard deviation about the levels: of the logarithm, where values are compared by ratio; None where too
            few points tell.
        outlying: Whether the last point alone is so far from the level that it may be the first of a new one.
    """

    steps: tuple[Step, ...]
    level: float
    noise: float | None = None
    outlying: bool = False


def find(values: Sequence[float], *, ratio: bool = True, least: float = 0.0, resolution: float = 1e-3) -> Steps:
    """The steps of a figure that varies.

    Args:
        values: In the order of time, at least one; positive ones where they are compared by ratio.
        ratio: Whether levels are compared by ratio, as of times, or by difference, as of an accuracy.
        least: Smallest change that counts: 0.02 is a ratio of 1.02 or its inverse, or a difference of 0.02.
        resolution: Noise that is taken at least, in the same units; values that repeat to the last digit have some.

    Raises:
        ValueError: There is no value, or one that cannot be compared.
    """
    given = np.asarray(values, float)
    if not given.size or not np.isfinite(given).all() or (ratio and (given <= 0).any()):
        raise ValueError(f"values must be finite{' and above 0' if ratio else ''}, at least one, got {list(values)}")
    series = np.log(given) if ratio else given
    if series.size < FEWEST:
        return Steps((), _plain(float(np.median(series)), ratio))
    least = math.log1p(least) if ratio else least
    rough = _rough(series, resolution)
    cuts = _propose(series, rough)
    cuts, noise = _confirm(series, cuts, rough, least)
    pieces = _pieces(series, cuts)
    wide = noise * _memory(series, cuts, noise)
    freedom = max(series.size - len(pieces), 4)
    pairs = zip(cuts, pieces[:-1], pieces[1:], strict=True)
    steps = tuple(_step(cut, old, new, noise, student(CONFIDENCE, freedom) * wide, ratio) for cut, old, new in pairs)
    outlying = len(pieces[-1]) > LEAST and _outlying(pieces[-1], noise, _limit(series.size, 0.0), least)
    return Steps(steps, _plain(location(pieces[-1], noise), ratio), noise, outlying)


def changes(values: Sequence[float], *, tolerance: float = 0.0) -> Steps:
    """The steps of a figure that is counted: every change is one, at once.

    Args:
        values: In the order of time, at least one.
        tolerance: Share of the level by which values may differ from its first one without being a step.

    Raises:
        ValueError: There is no value.
    """
    if not values:
        raise ValueError("values must be at least one, got none")
    steps, level = [], values[0]
    for place, value in enumerate(values):
        if abs(value - level) > tolerance * abs(level):
            steps.append(Step(place, level, value, Interval(value / level if level else math.inf, None, None)))
            level = value
    return Steps(tuple(steps), level)


def location(values: np.ndarray, noise: float) -> float:
    """Huber's location: the mean, but what lies further away than `TUNING` deviations pulls no harder."""
    middle = float(np.median(values))
    for _ in range(30):
        away = np.abs(values - middle)
        weights = np.minimum(1.0, TUNING * noise / np.maximum(away, noise * 1e-9))
        moved = float(weights @ values / weights.sum())
        if abs(moved - middle) < 1e-6 * noise:
            break
        middle = moved
    return middle


def _plain(level: float, ratio: bool) -> float:
    return math.exp(level) if ratio else level


def _rough(series: np.ndarray, resolution: float) -> float:
    """Noise from the differences of neighbours, few of which see a step; their mean where most of them are none."""
    apart = np.abs(np.diff(series)) / math.sqrt(2)
    found = MAD * float(np.median(apart))
    if found <= resolution:
        found = math.sqrt(math.pi / 2) * float(apart.mean())
    return max(found, resolution)


def _propose(series: np.ndarray, rough: float) -> list[int]:
    """Cuts of the fit; the noise about a first fit is a better scale for the second."""
    noise = _scale(series, _partition(series, rough), rough)
    return _partition(series, noise)


def _partition(series: np.ndarray, noise: float) -> list[int]:
    """First places of all pieces but the first, of the fit that costs least.

    Candidate levels are the values and the middles between neighbouring ones. Of each the cost is carried on of the
    best fit that is on it now: `young` where the piece is of its first point, `grown` where it has `LEAST` points.
    """
    ordered = np.unique(series)
    levels = np.concatenate([ordered, (ordered[1:] + ordered[:-1]) / 2])
    grown, young = np.full(levels.size, np.inf), np.full(levels.size, np.inf)
    start = np.zeros(levels.size, int)
    penalty = PENALTY * math.log(series.size)
    # The best cost of everything before a place, and where the piece began that ends just there.
    done, began = [-penalty], []
    for place, value in enumerate(series):
        cost = np.minimum(((value - levels) / noise) ** 2, CAP**2)
        start = np.where(young < grown, place - 1, start)
        grown = np.minimum(young, grown) + cost
        young = done[place] + penalty + cost
        best = int(grown.argmin())
        done.append(float(grown[best]))
        began.append(int(start[best]))
    cuts, end = [], series.size - 1
    while began[end] > 0:
        cuts.append(began[end])
        end = began[end] - 1
    return cuts[::-1]


def _confirm(series: np.ndarray, cuts: list[int], rough: float, least: float) -> tuple[list[int], float]:
    """Takes out what does not stand the test, the weakest first, and puts the rest where it fits best."""
    while True:
        noise = _scale(series, cuts, rough)
        cuts = _settled(series, cuts, noise)
        noise = _scale(series, cuts, rough)
        limit = _limit(series.size, _remembered(series, cuts, noise))
        pairs = list(pairwise(_pieces(series, cuts)))
        tests = [_test(*pair, noise) / limit for pair in pairs]
        small = [abs(location(new, noise) - location(old, noise)) < least for old, new in pairs]
        failed = [(test, place) for place, test in enumerate(tests) if test < 1 or small[place]]
        if not failed:
            return cuts, noise
        cuts = [cut for place, cut in enumerate(cuts) if place != min(failed)[1]]


def _settled(series: np.ndarray, cuts: list[int], noise: float) -> list[int]:
    """Each cut at the place between its neighbours that costs least with the levels on both of its sides."""
    moved = list(cuts)
    for place in range(len(moved)):
        ends = [0, *moved, series.size]
        low, cut, high = ends[place : place + 3]
        part = series[low:high]
        costs = [
            np.minimum(((part - location(side, noise)) / noise) ** 2, CAP**2)
            for side in (series[low:cut], series[cut:high])
        ]
        # Entry k: the first k points on the old level, the others on the new one.
        total = np.concatenate([[0.0], np.cumsum(costs[0] - costs[1])])
        moved[place] = low + LEAST + int(total[LEAST : part.size - LEAST + 1].argmin())
    return moved


def _pieces(series: np.ndarray, cuts: Sequence[int]) -> list[np.ndarray]:
    return np.split(series, cuts)


def _residuals(series: np.ndarray, cuts: Sequence[int], noise: float) -> np.ndarray:
    return np.concatenate([piece - location(piece, noise) for piece in _pieces(series, cuts)])


def _scale(series: np.ndarray, cuts: Sequence[int], rough: float) -> float:
    """Noise about the levels: Huber's proposal 2 with a degree of freedom less for each level.

    Half of the rough one at least: a fit with as many levels as it likes leaves no noise.
    """
    squares = _residuals(series, cuts, rough) ** 2
    freedom = max(1, series.size - len(cuts) - 1)
    noise = rough
    for _ in range(30):
        moved = math.sqrt(float(np.minimum(squares, (TUNING * noise) ** 2).sum()) / (SHRINKAGE * freedom))
        if abs(moved - noise) < 1e-4 * noise:
            break
        noise = moved
    return max(noise, rough / 2)


def _remembered(series: np.ndarray, cuts: Sequence[int], noise: float) -> float:
    """Autocorrelation of the noise from one point to the next, drawn towards `REMEMBERED` and never below it."""
    left = np.clip(_residuals(series, cuts, noise), -TUNING * noise, TUNING * noise)
    power = float(left @ left)
    shown = float(left[1:] @ left[:-1]) / power if power else 0.0
    # The residuals of a fitted level have it too low (Marriott and Pope 1954, Biometrika 41).
    shown += (1 + 3 * shown) * (len(cuts) + 1) / series.size
    drawn = (series.size * shown + TRUSTED * REMEMBERED) / (series.size + TRUSTED)
    return min(max(drawn, REMEMBERED), MOST_REMEMBERED)


def _memory(series: np.ndarray, cuts: Sequence[int], noise: float) -> float:
    """How much further a mean of points that remember strays than one of independent points."""
    lag = _remembered(series, cuts, noise)
    return math.sqrt((1 + lag) / (1 - lag))


def _limit(count: int, lag: float) -> float:
    """What a step's test must reach: about the largest of so many deviates."""
    return math.sqrt((1 + lag) / (1 - lag)) * math.sqrt(2 * math.log(count)) + MARGIN


def _test(old: np.ndarray, new: np.ndarray, noise: float) -> float:
    """Difference of two levels in its standard deviations, were the points independent."""
    sign = 1.0 if location(new, noise) >= location(old, noise) else -1.0
    old, new = _without(-sign * old) * -sign, _without(sign * new) * sign
    apart = sign * (location(new, noise) - location(old, noise))
    return apart / (noise * math.sqrt(1 / old.size + 1 / new.size))


def _without(values: np.ndarray) -> np.ndarray:
    """A short level without its largest point."""
    return np.sort(values)[:-1] if values.size <= SHORT else values


def _outlying(piece: np.ndarray, noise: float, limit: float, least: float) -> bool:
    apart = abs(float(piece[-1]) - location(piece[:-1], noise))
    return apart > limit * noise * math.sqrt(1 + 1 / (piece.size - 1)) and apart >= least


def _step(cut: int, old: np.ndarray, new: np.ndarray, noise: float, wide: float, ratio: bool) -> Step:
    before, after = location(old, noise), location(new, noise)
    away = wide * math.sqrt(1 / old.size + 1 / new.size)
    bounds = [_plain(after - before + side, ratio) for side in (0.0, -away, away)]
    return Step(cut, _plain(before, ratio), _plain(after, ratio), Interval(*bounds))
