"""Whether a model lost rows that another one had right, or whether that is chance: two models on the same rows.

Rows that both have right, or both wrong, say nothing about a difference: what counts are the rows that only one of them
has right. Were the models equally good, each of those would fall to either side like a fair coin (McNemar 1947, Note on
the Sampling Error of the Difference Between Correlated Proportions or Percentages, Psychometrika 12).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from edgesft.budget.drop import FEWEST_ROWS
from edgesft.budget.percentile import CONFIDENCE, Interval
from edgesft.budget.verdict import ROUNDING, Line

SIGNIFICANCE = 1 - CONFIDENCE
"""A loss is beyond chance where equally good models would lose as much more rarely than this."""

HALVINGS = 50
"""Of the interval [-1, 1] in search of a bound: leaves 2e-15."""


@dataclass(frozen=True)
class Paired:
    """The answers of two models to the same rows.

    Attributes:
        rows: All of them.
        both: Rows that both models have right.
        lost: Rows that only the one before has right.
        gained: Rows that only the one after has right.
        drop: Accuracy before minus that after, with bounds.
        p_worse: Probability that models of equal accuracy lose as many rows of those that differ, or more.
        p_changed: The same of a difference as large to either side.
    """

    rows: int
    both: int
    lost: int
    gained: int
    drop: Interval
    p_worse: float
    p_changed: float

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "drop": self.drop._asdict()}

    def __str__(self) -> str:
        return f"{self.lost} of {self.rows} rows lost, {self.gained} gained, p={self.p_worse:.2g}"


def paired(right_before: np.ndarray, right_after: np.ndarray, confidence: float = CONFIDENCE) -> Paired:
    """Compares two models row by row, by the exact test.

    Args:
        right_before: Whether each row was right, bool of shape [rows].
        right_after: The same of the model that is judged, in the same order.
        confidence: Probability, of each bound of the drop by itself, to hold.

    Raises:
        ValueError: The numbers of rows differ, or there are none.
    """
    before, after = np.asarray(right_before, bool), np.asarray(right_after, bool)
    if before.shape != after.shape or before.ndim != 1 or not before.size:
        raise ValueError(f"answers must be to the same rows, at least one, got {before.shape} and {after.shape}")
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    differing = lost + gained
    return Paired(
        rows=before.size,
        both=int((before & after).sum()),
        lost=lost,
        gained=gained,
        drop=drop(before.size, lost, gained, confidence),
        p_worse=_tail(differing, lost),
        p_changed=min(1.0, 2 * _tail(differing, max(lost, gained))),
    )


def drop(rows: int, lost: int, gained: int, confidence: float = CONFIDENCE) -> Interval:
    """The share of the rows that were lost less that of those that were gained, with bounds.

    These are the values that a score test does not reject (Tango 1998, Equivalence Test and Confidence Interval for the
    Difference in Proportions for the Paired-Sample Design, Statistics in Medicine 17), which keep their confidence
    where few rows differ. One-sided they still hold up to six points less often than they say (counted over all
    outcomes of 10 to 150 rows); half a row of continuity correction leaves one point. Where no row differs, the exact
    bound needs no approximation: it is about 3 / rows, the rule of three that `drop.drops` keeps to.

    Args:
        rows: Number of rows, at least 1.
        lost: Rows that only the model before has right.
        gained: Rows that only the model after has right.
        confidence: Probability, of each bound by itself, to hold.
    """
    value = (lost - gained) / rows
    if not lost + gained:
        bound = 1 - (1 - confidence) ** (1 / rows)
        return Interval(value, -bound, bound)
    return Interval(value, -_upper(rows, gained, lost, confidence), _upper(rows, lost, gained, confidence))


def judge(name: str, limit: float, found: Paired) -> Line:
    """A line on how much accuracy may be lost, which neither chance nor few rows make fail.

    - It passes where the drop that was found is within the limit.
    - It fails where the drop is above the limit and the loss is beyond chance: its lower bound is above the limit
      too, or so few of the rows that differ are gains that equally good models would do as badly in less than 5 %.
      So of candidates as good as the baseline at most 5 % fail, whatever the limit and the number of rows. A
      loss that is real and only seems to be above the limit fails as well: more rows tell it more exactly.
    - It is inconclusive where the drop is above the limit and may be chance; the reason tells about how many rows,
      lost and gained at these rates, would show that it is not.

    Args:
        name: Of the line.
        limit: Greatest allowed drop, from 0 on.
        found: The rows.
    """
    value, lower, upper = found.drop
    if value <= limit + ROUNDING:
        return Line(name, limit, value, lower, upper, "pass")
    if lower is not None and lower > limit + ROUNDING:
        return Line(name, limit, value, lower, upper, "fail", f"{found}: the lower bound is also above the limit")
    if found.p_worse < SIGNIFICANCE:
        return Line(name, limit, value, lower, upper, "fail", f"{found}: more than chance")
    reason = f"{found}: it may be chance; about {_deciding(found)} rows like these would decide"
    return Line(name, limit, value, lower, upper, "inconclusive", reason)


def judge_bounds(name: str, limit: float, found: Interval) -> Line:
    """The line of `judge` for a metric that is no share of right rows: a loss is beyond chance where its bound says so.

    Args:
        name: Of the line.
        limit: Greatest allowed drop, from 0 on.
        found: The drop with its bounds (`drop.drops`).
    """
    value, lower, upper = found
    if value <= limit + ROUNDING:
        return Line(name, limit, value, lower, upper, "pass")
    if lower is not None and lower > ROUNDING:
        return Line(name, limit, value, lower, upper, "fail")
    reason = (
        f"fewer than {FEWEST_ROWS} rows have no bound"
        if lower is None
        else "the bounds include no drop: it may be chance; more rows would decide"
    )
    return Line(name, limit, value, lower, upper, "inconclusive", reason)


def _tail(throws: int, heads: int) -> float:
    """Probability of so many heads or more of a fair coin; from the ratios of neighbouring terms in logarithms."""
    before = np.arange(throws)
    logs = np.concatenate(([0.0], np.cumsum(np.log((throws - before) / (before + 1)))))
    masses = np.exp(logs - logs.max())
    return float(masses[heads:].sum() / masses.sum())


def _upper(rows: int, lost: int, gained: int, confidence: float) -> float:
    """The greatest drop that the corrected score test does not reject."""
    quantile = NormalDist().inv_cdf(confidence)
    low, high = (lost - gained) / rows, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _score(rows, lost, gained, middle) > -quantile:
            low = middle
        else:
            high = middle
    return high


def _score(rows: int, lost: int, gained: int, drop: float) -> float:
    """How many standard deviations of a true `drop` half a row more than what was found lies above it.

    The variance takes the likeliest share of gains given the drop, the root of 2n q² + b q + c = 0 (Tango 1998).
    """
    b = (2 * rows - lost + gained) * drop - lost - gained
    c = -gained * drop * (1 - drop)
    share = (math.sqrt(max(b * b - 8 * rows * c, 0.0)) - b) / (4 * rows)
    variance = rows * (2 * share + drop * (1 - drop))
    excess = lost - gained + 0.5 - rows * drop
    return excess / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, excess)


def _deciding(found: Paired) -> int:
    """About how many rows, lost and gained at these rates, show a loss, to two digits.

    Solves (lost - gained) k - 1 = z √((lost + gained) k) for the multiple k: McNemar's test, corrected for continuity.
    """
    excess, differing = found.lost - found.gained, found.lost + found.gained
    z = NormalDist().inv_cdf(CONFIDENCE) * math.sqrt(differing)
    root = (z + math.sqrt(z * z + 4 * excess)) / (2 * excess)
    rows = max(root * root, 1.0) * found.rows
    unit = 10 ** max(math.floor(math.log10(rows)) - 1, 0)
    return math.ceil(rows / unit) * unit
