"""Verdicts, and the lines that carry one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgesft.budget.drop import FEWEST_ROWS
from edgesft.budget.percentile import Interval

Verdict = Literal["pass", "fail", "inconclusive"]

ROUNDING = 1e-9
"""Floats that differ by less are equal: 0.9 - 0.89 is a little more than 0.01."""

ORDER: tuple[Verdict, ...] = ("pass", "inconclusive", "fail")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """`fail` before `inconclusive` before `pass`; an empty budget holds."""
    return max(verdicts, key=ORDER.index, default="pass")


@dataclass(frozen=True)
class Line:
    """One limit, what was found, and what follows.

    Attributes:
        name: For example `latency_ms.p95`.
        limit: The limit, in the unit that the name says.
        value: What was found, or None where nothing was.
        lower: One-sided lower confidence bound, or None where there is none.
        upper: One-sided upper confidence bound, or None where there is none.
        verdict: What follows.
        reason: Why it is inconclusive, or what about it failed.
    """

    name: str
    limit: float
    value: float | None
    lower: float | None
    upper: float | None
    verdict: Verdict
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form; `reason` only where there is one."""
        data: dict[str, Any] = {
            "name": self.name,
            "limit": self.limit,
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "verdict": self.verdict,
        }
        return data | {"reason": self.reason} if self.reason else data


def at_most(name: str, limit: float, found: Interval, *, short: str = "", differences: Sequence[str] = ()) -> Line:
    """A line that passes when the upper bound is within the limit and fails when the lower bound is above it.

    Args:
        name: Of the line.
        limit: Greatest allowed value.
        found: The value and its bounds.
        short: Why a bound is missing, said where that leaves the line open.
        differences: Where the machine is not the one the limit is for; any of them leaves the line open.
    """
    value, lower, upper = found
    if differences:
        return Line(name, limit, value, lower, upper, "inconclusive", "; ".join(differences))
    if upper is not None and upper <= limit + ROUNDING:
        return Line(name, limit, value, lower, upper, "pass")
    if lower is not None and lower > limit + ROUNDING:
        return Line(name, limit, value, lower, upper, "fail")
    reason = short if upper is None else "the limit lies between the bounds: take more samples, or quieten the machine"
    return Line(name, limit, value, lower, upper, "inconclusive", reason)


def at_least(name: str, limit: float, found: Interval, *, short: str = "", differences: Sequence[str] = ()) -> Line:
    """A line that passes when the lower bound is at or above the limit and fails when the upper bound is below it.

    The arguments are those of `at_most`, the limit being the least allowed value.
    """
    value, lower, upper = found
    if differences:
        return Line(name, limit, value, lower, upper, "inconclusive", "; ".join(differences))
    if lower is not None and lower >= limit - ROUNDING:
        return Line(name, limit, value, lower, upper, "pass")
    if upper is not None and upper < limit - ROUNDING:
        return Line(name, limit, value, lower, upper, "fail")
    reason = short if lower is None else "the limit lies between the bounds: take more rows"
    return Line(name, limit, value, lower, upper, "inconclusive", reason)


def exact(name: str, limit: float, found: float) -> Line:
    """A line on something that does not vary: passes when it is at or below the limit."""
    return Line(name, limit, found, None, None, "pass" if found <= limit + ROUNDING else "fail")


def drop(name: str, limit: float, found: Interval, *, bound: bool) -> Line:
    """A line on how far a metric fell: by its point estimate, or by its bounds."""
    if bound:
        return at_most(name, limit, found, short=f"fewer than {FEWEST_ROWS} rows have no bound")
    return Line(name, limit, *found, "pass" if found.value <= limit + ROUNDING else "fail")


def minimum(name: str, limit: float, found: Interval, *, bound: bool) -> Line:
    """A line on the least a metric must be: by its point estimate, or by its bounds."""
    if bound:
        return at_least(name, limit, found, short=f"fewer than {FEWEST_ROWS} rows have no bound")
    return Line(name, limit, *found, "pass" if found.value >= limit - ROUNDING else "fail")


def unknown(name: str, limit: float, reason: str) -> Line:
    """A line on something that was not found out."""
    return Line(name, limit, None, None, None, "inconclusive", reason)
