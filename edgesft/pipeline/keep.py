"""Keep what pays: decides whether a stage is kept. Numbers in, decision out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesft.budget.metric import fall, scale
from edgesft.budget.percentile import Interval

FASTER = 0.98
"""The upper bound of the latency ratio must be at or below this: gains under 2 % drown between machines."""

SMALLER = 0.95
"""A stage that only saves bytes must save at least a twentieth of them."""

HALF, SLOWER = 0.5, 1.02
"""What leaves so few of the bytes may be slower, by what drowns between machines."""

ROUNDING = 1e-9
"""Two metrics are compared after this, so that 0.90 - 0.89 is within an allowance of 0.01."""


@dataclass(frozen=True)
class Decision:
    """Whether a stage stays, and why."""

    kept: bool
    reason: str


def speed(
    *,
    latency: Interval,
    size: float,
    metric: str,
    drop: float,
    allowance: float,
) -> Decision:
    """Judges a stage that is there for speed, together with its recovery.

    Args:
        latency: p50 after over p50 before, interleaved; without a bound, nothing is proven.
        size: Bytes after over bytes before.
        metric: Name of the deciding metric.
        drop: How far that metric fell below the fine-tuned original, on validation.
        allowance: How far it may fall.
    """
    value, lower, upper = latency
    lower, upper = (0.0 if lower is None else lower), (math.inf if upper is None else upper)
    if not drop <= allowance + ROUNDING:  # NaN is within nothing.
        return _fell(metric, drop, allowance)
    if upper <= FASTER:
        return Decision(True, f"latency {value:.2f} of before")
    if size <= SMALLER and lower <= (SLOWER if size <= HALF else 1):
        return Decision(True, f"size {size:.2f} of before at latency {value:.2f}")
    bounds = f"latency {value:.2f} of before ({lower:.2f} to {upper:.2f}), size {size:.2f}"
    if size <= SMALLER:
        return Decision(False, f"slower: {bounds}; the runtime lacks fast kernels for it here")
    return Decision(False, f"neither faster nor smaller: {bounds}")


def untimed(*, size: float, metric: str, drop: float, allowance: float) -> Decision:
    """Judges a speed stage where nothing can be timed: bytes are what it can be seen to save.

    Args:
        size: Bytes after over bytes before.
        metric: Name of the deciding metric.
        drop: How far that metric fell below the fine-tuned original, on validation.
        allowance: How far it may fall.
    """
    if not drop <= allowance + ROUNDING:  # NaN is within nothing.
        return _fell(metric, drop, allowance)
    if size <= SMALLER:
        return Decision(True, f"size {size:.2f} of before; not timed")
    return Decision(False, f"not smaller: size {size:.2f} of before; not timed")


def _fell(metric: str, drop: float, allowance: float) -> Decision:
    if not math.isfinite(drop):
        return Decision(False, f"{metric} is not a number")
    of = scale(metric)
    reason = f"{metric} fell {of.number(drop)} {of.difference} below the original, {of.number(allowance)} allowed"
    return Decision(False, reason)


def recovery(*, metric: str, before: float, after: float) -> Decision:
    """Judges a stage that is there for accuracy: it must lose none on validation.

    Of two that are as good there, the one that learnt for longer stays, as it does within a training: it costs nothing
    where it runs, and few rows do not tell them apart.
    """
    if not math.isfinite(after):
        return Decision(False, f"{metric} is not a number: nothing gained")
    change, gain = scale(metric).change(after - before), -fall(before, after)
    if gain < -ROUNDING:
        return Decision(False, f"{metric} {change}: nothing gained")
    same = ": as good, and trained for longer" if gain <= ROUNDING else ""
    return Decision(True, f"{metric} {change}{same}")
