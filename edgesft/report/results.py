"""`results.json`: everything a run found, in base units, for people's tables and machines' gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.budget.percentile import bounds, needed, percentile
from edgesft.measure.measurement import Measurement
from edgesft.pipeline.outcome import Outcome, Row

SCHEMA = "edgesft/results"
SCHEMA_VERSION = 1
PERCENTILES = (50, 90, 95, 99)


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The results of a run on one profile: JSON values only, integer nanoseconds and bytes."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "verdict": outcome.verdict,
        "profile": outcome.profile.name,
        "split": outcome.split,
        "budget": [line.to_json() for line in outcome.lines],
        "stages": [_stage(row) for row in outcome.rows],
        "environment": {**outcome.environment, "profile": outcome.profile.model_dump(mode="json", exclude={"budget"})},
        "recipe": dict(outcome.recipe),
        "warnings": list(outcome.warnings),
    }


def _stage(row: Row) -> dict[str, Any]:
    decision = row.decision
    return {
        "stage": row.stage,
        "name": row.name,
        "kept": row.kept,
        "reason": decision.reason if decision else "",
        "summary": row.report.summary,
        "precision": row.precision,
        "metrics": {split: dict(evaluation.metrics) for split, evaluation in row.evaluations.items()},
        "levels": {name: interval._asdict() for name, interval in row.levels.items()},
        "drops": {name: interval._asdict() for name, interval in row.drops.items()},
        "size_bytes": row.onnx.size_bytes,
        "parameters": row.onnx.parameters,
        "details": dict(row.report.details),
        **(_measured(row.measurement) if row.measurement else {"latency_ns": None, "provider": None}),
    }


def _measured(measurement: Measurement) -> dict[str, Any]:
    samples = measurement.samples
    latency: dict[str, int | None] = {"n": len(samples)}
    for p in PERCENTILES:
        # A p99 of too few samples is their maximum under another name.
        latency[f"p{p}"] = percentile(samples, p) if len(samples) >= needed(p) else None
    # One-sided 95 % bounds; None where the samples do not carry one.
    spans = {f"p{p}": bounds(samples, p) for p in PERCENTILES}
    return {
        "latency_ns": latency,
        "latency_bounds_ns": spans,
        "provider": measurement.provider,
        "measurement": _facts(measurement.to_json()),
    }


def _facts(measurement: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement without its samples."""
    return {name: value for name, value in measurement.items() if name not in ("rounds_ns", "provider")}
