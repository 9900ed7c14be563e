"""The figures of an artefact, as a gate's document tells them and a baseline keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from edgesft.budget import percentile, rounds
from edgesft.budget.lines import LOAD_PERCENTILE
from edgesft.budget.percentile import CONFIDENCE, Interval, needed
from edgesft.budget.rounds import Rounds
from edgesft.gate.key import Stored
from edgesft.measure.measurement import Measurement
from edgesft.measure.scenario import arrivals

PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
"""Figure → per cent of the inferences."""

STARTS = ("load", "first_inference")
TIMED = (*PERCENTILES, *STARTS)
"""What is nanoseconds, with bounds."""

COUNTED = ("parameters", "macs", "nodes", "partitions", "off_provider", "instructions")
"""Whatever else is counted, by the budget's name of it."""

DISTINCT = re.compile(r", \d+ distinct")
"""Of what was fed, how much was used: it follows from how long was measured."""


class Timing(Stored):
    """Nanoseconds with one-sided bounds; one is None where the samples do not carry it."""

    value: int = Field(ge=0)
    lower: int | None = Field(None, ge=0)
    upper: int | None = Field(None, ge=0)
    n: int = Field(ge=1)


class Score(Stored):
    """A metric with one-sided bounds; one is None where the rows do not carry it."""

    value: float
    lower: float | None = None
    upper: float | None = None


class Figures(Stored):
    """Figures of an artefact; None where nobody took one.

    Attributes:
        p50: And the other percentiles: of the latency.
        load: Median session creation.
        first_inference: Median first inference after one.
        peak_memory: Bytes.
        size: Bytes of the model with its external data, without what else a device loads: a file alone has the same.
        parameters: And the other counts: as the budget means them.
        metrics: By name.
        scenario: How the timed requests came (`scenario.arrivals`).
        inputs: What was fed.
        counted: What counted the instructions, on which processor; where it is another they do not compare.
        unsteady: Why the percentiles decide nothing.
    """

    p50: Timing | None = None
    p90: Timing | None = None
    p95: Timing | None = None
    p99: Timing | None = None
    load: Timing | None = None
    first_inference: Timing | None = None
    peak_memory: int | None = Field(None, ge=0)
    size: int = Field(gt=0)
    parameters: int | None = Field(None, ge=0)
    macs: int | None = Field(None, ge=0)
    nodes: int | None = Field(None, ge=0)
    partitions: int | None = Field(None, ge=0)
    off_provider: int | None = Field(None, ge=0)
    instructions: int | None = Field(None, ge=0)
    metrics: dict[str, Score] = {}
    scenario: str | None = None
    inputs: str | None = None
    counted: str | None = None
    unsteady: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figures:
        """Inverse of `to_json`.

        Raises:
            pydantic.ValidationError: They are no figures.
        """
        return cls.model_validate_json(json.dumps(data))

    def to_json(self) -> dict[str, Any]:
        """JSON form, without what nobody took; metrics by name."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["metrics"] = dict(sorted(data["metrics"].items()))
        return {name: value for name, value in data.items() if value not in ({}, [])}

    def items(self) -> Iterator[tuple[str, int | float]]:
        """Every figure's name and value, the metrics as `metrics.accuracy`."""
        for name, value in self:
            if isinstance(value, Timing):
                yield name, value.value
            elif isinstance(value, int):
                yield name, value
        for name, score in sorted(self.metrics.items()):
            yield f"metrics.{name}", score.value


def figures_of(
    measurement: Measurement | None,
    counts: Mapping[str, float],
    size_bytes: int,
    metrics: Mapping[str, Interval],
    *,
    confidence: float = CONFIDENCE,
    suspicions: Sequence[str] = (),
    inputs: str | None = None,
    counted: str | None = None,
) -> dict[str, Any]:
    """The figures of an artefact, JSON values only, as `Figures` tells them.

    A percentile that the samples are too few for is left out, and a bound where they do not carry it.

    Args:
        measurement: None where nothing was timed.
        counts: By the budget's name (`lines.Facts.counts`).
        size_bytes: Of the model with its external data.
        metrics: Metric → its value and bounds.
        confidence: Of each bound of the latency.
        suspicions: Why its times decide nothing, besides what its own unsteadiness tells.
        inputs: What was fed to what was counted, where nothing was timed.
        counted: What counted the instructions (`Instructions.how`).
    """
    told: dict[str, Any] = {name: round(counts[name]) for name in COUNTED if name in counts} | {"inputs": inputs}
    if measurement is not None and measurement.rounds:
        told |= _timed(measurement, confidence, suspicions)
    if "instructions" in told:
        told["counted"] = counted
    scores = {
        name: Score(value=float(value), lower=lower, upper=upper) for name, (value, lower, upper) in metrics.items()
    }
    return Figures(size=size_bytes, metrics=scores, **told).to_json()


def _timed(measurement: Measurement, confidence: float, suspicions: Sequence[str]) -> dict[str, Any]:
    taken = Rounds.of(measurement.judged)
    told: dict[str, Any] = {
        name: _timing(rounds.interval(taken, p, confidence), taken.values.size)
        for name, p in PERCENTILES.items()
        if taken.values.size >= needed(p, confidence)
    }
    for name, samples in zip(STARTS, (measurement.loads_ns, measurement.firsts_ns), strict=True):
        if samples:
            # Each is from a process of its own, so that they are independent.
            told[name] = _timing(percentile.interval(samples, LOAD_PERCENTILE), len(samples))
    return told | {
        "peak_memory": measurement.peak_memory_bytes,
        "scenario": arrivals(measurement.scenario, measurement.detail),
        "inputs": DISTINCT.sub("", measurement.inputs),
        "unsteady": (*measurement.unsteady, *suspicions),
    }


def _timing(found: Interval, count: int) -> Timing:
    value, lower, upper = (None if each is None else int(each) for each in found)
    return Timing(value=value or 0, lower=lower, upper=upper, n=count)
