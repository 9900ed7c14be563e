"""A measurement's latencies as every report tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.budget.percentile import CONFIDENCE, NEVER, Interval, needed, percentile
from edgesft.budget.rounds import Rounds, interval

if TYPE_CHECKING:
    from edgesft.measure.measurement import Measurement

PERCENTILES = (50, 90, 95, 99)

SKETCH_VERSION = 1


def latency(measurement: Measurement, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """`latency_ns` of the requests that were answered, and one-sided `latency_bounds_ns` as a budget takes them.

    None where the samples do not carry a figure, and for a bound that requests without an answer put out of reach.

    Args:
        measurement: Whose.
        confidence: Of each bound by itself.
    """
    samples = measurement.samples
    found: dict[str, int | None] = {"n": len(samples)}
    for p in PERCENTILES:
        # A p99 of too few samples is their maximum under another name.
        found[f"p{p}"] = percentile(samples, p) if len(samples) >= needed(p) else None
    spans: dict[str, tuple[float | None, float | None]] = {f"p{p}": (None, None) for p in PERCENTILES}
    if samples:
        taken = Rounds.of(measurement.judged)
        spans = {f"p{p}": _reached(interval(taken, p, confidence)) for p in PERCENTILES}
    return {"latency_ns": found, "latency_bounds_ns": spans}


def _reached(found: Interval) -> tuple[float | None, float | None]:
    """The bounds; one that stands for no answer, also where it was moved, is none."""
    lower, upper = (None if bound is None or bound >= NEVER // 1000 else bound for bound in found[1:])
    return lower, upper


def by_length(measurement: Measurement) -> list[dict[str, Any]]:
    """The latency of requests of similar length; empty where all are alike."""
    if measurement.lengths is None:
        return []
    # Loads what measures and what recipes are; those who only read results do without.
    from edgesft.measure.inputs import buckets

    found = []
    for bucket in buckets(measurement.lengths, measurement.samples):
        entry: dict[str, Any] = {"low": bucket.low, "high": bucket.high, "n": bucket.count}
        for p in PERCENTILES:
            entry[f"p{p}"] = percentile(bucket.samples, p) if bucket.count >= needed(p) else None
        found.append(entry)
    return found


def sketch(rounds: Sequence[Sequence[int]]) -> dict[str, Any] | None:
    """Samples in little: enough to draw their distribution and how it moved, in about a kilobyte.

    Args:
        rounds: Nanoseconds of each inference, by round, in the order they were taken.

    Returns:
        `rounds_p50_ns`, the median of each round, and `quantiles_ns`, of all samples the least, the 1st to the 99th
        percentile and the greatest, so that 101 integers stand at their own place; None where nothing was timed.
    """
    taken = [each for each in rounds if len(each)]
    if not taken:
        return None
    values = np.sort(np.concatenate([np.asarray(each, np.int64) for each in taken]))
    # The smallest value with at least this share at or below it, as `budget.percentile` has it; in integers, for
    # 0.07 × 100 is a little more than 7.
    places = np.maximum(-(-np.arange(101) * values.size // 100) - 1, 0)
    return {
        "version": SKETCH_VERSION,
        "rounds_p50_ns": [percentile(each, 50) for each in taken],
        "quantiles_ns": values[places].tolist(),
    }
