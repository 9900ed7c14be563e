"""A measurement's latencies as every report tells them."""

from __future__ import annotations

from typing import Any

from edgesft.budget.percentile import needed, percentile
from edgesft.budget.rounds import Rounds, interval
from edgesft.measure.inputs import buckets
from edgesft.measure.measurement import Measurement

PERCENTILES = (50, 90, 95, 99)


def latency(measurement: Measurement) -> dict[str, Any]:
    """`latency_ns` and one-sided 95 % `latency_bounds_ns`; None where the samples do not carry a figure."""
    samples = measurement.samples
    found: dict[str, int | None] = {"n": len(samples)}
    for p in PERCENTILES:
        # A p99 of too few samples is their maximum under another name.
        found[f"p{p}"] = percentile(samples, p) if len(samples) >= needed(p) else None
    spans: dict[str, tuple[float | None, float | None]] = {f"p{p}": (None, None) for p in PERCENTILES}
    if samples:
        taken = Rounds.of(measurement.rounds)
        spans = {f"p{p}": interval(taken, p)[1:] for p in PERCENTILES}
    return {"latency_ns": found, "latency_bounds_ns": spans}


def by_length(measurement: Measurement) -> list[dict[str, Any]]:
    """The latency of requests of similar length; empty where all are alike."""
    if measurement.lengths is None:
        return []
    found = []
    for bucket in buckets(measurement.lengths, measurement.samples):
        entry: dict[str, Any] = {"low": bucket.low, "high": bucket.high, "n": bucket.count}
        for p in PERCENTILES:
            entry[f"p{p}"] = percentile(bucket.samples, p) if bucket.count >= needed(p) else None
        found.append(entry)
    return found
