"""`results.json`: everything a run found, in base units, for people's tables and machines' gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import inspect
from edgesft.pipeline.licences import licences
from edgesft.pipeline.outcome import Outcome, Row
from edgesft.report.latency import by_length, latency, sketch
from edgesft.report.suggest import suggestions

SCHEMA = "edgesft/results"
SCHEMA_VERSION = 1


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The results of a run on one profile: JSON values only, integer nanoseconds and bytes."""
    found = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "verdict": outcome.verdict,
        "profile": outcome.profile.name,
        "model_sha256": inspect(outcome.final.model).sha256,
        "metric": outcome.metric,
        "split": outcome.split,
        "budget": [line.to_json() for line in outcome.lines],
        "evaluation": dict(outcome.evaluation),
        "stages": [_stage(row) for row in outcome.rows],
        "environment": {**outcome.environment, "profile": outcome.profile.model_dump(mode="json", exclude={"budget"})},
        "recipe": dict(outcome.recipe),
        "lineage": dict(outcome.lineage),
        "licences": licences(outcome.recipe),
        "warnings": list(outcome.warnings),
    }
    return {**found, "suggestions": suggestions(found)}


def _stage(row: Row) -> dict[str, Any]:
    decision = row.decision
    return {
        "stage": row.stage,
        "name": row.name,
        "key": row.onnx.key,
        "kept": row.kept,
        "reason": decision.reason if decision else "",
        "summary": row.report.summary,
        "precision": row.precision,
        "metrics": {split: dict(evaluation.metrics) for split, evaluation in row.evaluations.items()},
        "levels": {name: interval._asdict() for name, interval in row.levels.items()},
        "drops": {name: interval._asdict() for name, interval in row.drops.items()},
        "size_bytes": row.size_bytes,
        "parameters": row.onnx.parameters,
        "details": dict(row.report.details),
        **(_measured(row.measurement) if row.measurement else {"latency_ns": None, "provider": None}),
        **({"opening": latency(row.opening)} if row.opening else {}),
        "problem": row.problem,
    }


def _measured(measurement: Measurement) -> dict[str, Any]:
    return {
        **latency(measurement),
        "latency_by_length": by_length(measurement),
        "provider": measurement.provider,
        "measurement": {**_facts(measurement.to_json()), "sketch": sketch(measurement.rounds)},
    }


def _facts(measurement: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement without its samples, of which the sketch stays."""
    return {name: value for name, value in measurement.items() if name not in ("rounds_ns", "lengths", "provider")}
