"""What must hold: the budget of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesft.spec.base import Spec

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0)]


class Percentiles(Spec):
    """A limit for each percentile of the latency that matters."""

    p50: Positive | None = None
    p90: Positive | None = None
    p95: Positive | None = None
    p99: Positive | None = None

    def limits(self) -> dict[int, float]:
        """The percentiles that have a limit: `{95: 5.0}`."""
        return {int(name[1:]): limit for name, limit in self if limit is not None}


class BudgetSpec(Spec):
    """Limits that the final model must meet; each one becomes a line of the verdict."""

    latency_ms: Percentiles = Percentiles()
    """Milliseconds for one request; binds where the machine is the profile's."""
    latency_ratio: Percentiles = Percentiles()
    """Share of the fine-tuned original's latency, interleaved in one run; binds anywhere."""
    real_time_factor: Percentiles = Percentiles()
    """What one frame of a stream takes as a share of the time until the next one comes, or what a model takes to speak
    as a share of how long that sounds on average; binds where the machine is the profile's."""
    first_token_ms: Percentiles = Percentiles()
    """Text generation: milliseconds from a prompt to the first token of its answer; binds where the machine is the
    profile's."""
    tokens_per_second: Positive | None = None
    """Text generation: least tokens a second, at the median and at the contract's context; binds where the machine is
    the profile's."""
    picture_ms: Positive | None = None
    """Image generation: milliseconds of a picture, all its inferences at the median; binds where the machine is the
    profile's."""
    load_ms: Positive | None = None
    """Milliseconds to create the session; binds where the machine is the profile's."""
    first_inference_ms: Positive | None = None
    """Milliseconds of the first request; binds where the machine is the profile's."""
    size_mb: Positive | None = None
    """Megabytes (10^6 bytes) of every file the device loads."""
    size_ratio: Positive | None = None
    """Share of the fine-tuned original's size."""
    peak_memory_mb: Positive | None = None
    """Megabytes (10^6 bytes) of resident memory of a process that only runs the model."""
    parameters: Count | None = None
    """Most elements of the constants that are weights."""
    macs: Count | None = None
    """Most multiply-accumulates of one inference."""
    instructions: Count | None = None
    """Most instructions of the processor in one inference, counted where that can be had (valgrind or perf)."""
    nodes: Count | None = None
    """Most nodes of the graph, those of subgraphs included."""
    partitions: Count | None = None
    """Most subgraphs on the provider."""
    off_provider: Annotated[int, Field(ge=0)] | None = None
    """Most nodes that are not on the provider."""
    placement_share: Share | None = None
    """Least share of the nodes that is on the provider."""
    operators: tuple[str, ...] | None = Field(None, min_length=1)
    """Types of operators that may be in the file; those of another domain as `com.microsoft.FusedConv`."""
    agreement: Share | None = None
    """Least share of the rows that the model answers on its provider as the fine-tuned original does in fp32 on a
    CPU."""
    max_drop: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Metric → how far it may fall below the fine-tuned original, in its own unit: of a share 0.01 is one point, of
    `si_sdr` 0.3 are decibels."""
    min_metric: dict[str, float] = {}
    """Metric → the least it must be."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    """Metrics are judged by this one-sided confidence bound instead of the point estimate."""
