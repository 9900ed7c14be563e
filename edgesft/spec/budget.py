"""The budget of a recipe: limits for latency, size, memory and metrics."""

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
    """Limits that the final model must meet. Each limit becomes a line of the verdict."""

    latency_ms: Percentiles = Percentiles()
    """Milliseconds for one request. Inconclusive on a machine other than the profile's."""
    latency_ratio: Percentiles = Percentiles()
    """Latency as a share of the fine-tuned original's, both measured interleaved in one run. Holds on any machine."""
    real_time_factor: Percentiles = Percentiles()
    """Processing time divided by the duration of the sound: for a stream, time for one frame divided by the time
    between frames; for text-to-speech, time to synthesize divided by the average duration of the result. Inconclusive
    on a machine other than the profile's."""
    first_token_ms: Percentiles = Percentiles()
    """Text generation: milliseconds from the prompt to the first token of the answer. Inconclusive on a machine other
    than the profile's."""
    tokens_per_second: Positive | None = None
    """Text generation: minimum tokens per second, at the median and at the contract's context length. Inconclusive on a
    machine other than the profile's."""
    picture_ms: Positive | None = None
    """Image generation: milliseconds for one picture, all its inferences included, at the median. Inconclusive on a
    machine other than the profile's."""
    load_ms: Positive | None = None
    """Milliseconds to create the session. Inconclusive on a machine other than the profile's."""
    first_inference_ms: Positive | None = None
    """Milliseconds for the first request. Inconclusive on a machine other than the profile's."""
    size_mb: Positive | None = None
    """Megabytes (10^6 bytes) of all files that the device loads."""
    size_ratio: Positive | None = None
    """Size as a share of the fine-tuned original's."""
    peak_memory_mb: Positive | None = None
    """Peak resident memory in megabytes (10^6 bytes) of a process that only runs the model."""
    parameters: Count | None = None
    """Maximum number of weights (elements of the constants that are weights)."""
    macs: Count | None = None
    """Maximum multiply-accumulates per inference."""
    instructions: Count | None = None
    """Maximum processor instructions per inference. Needs valgrind or perf to count them."""
    nodes: Count | None = None
    """Maximum number of nodes in the graph, including subgraphs."""
    partitions: Count | None = None
    """Maximum number of subgraphs on the provider."""
    off_provider: Annotated[int, Field(ge=0)] | None = None
    """Maximum number of nodes that are not on the provider."""
    placement_share: Share | None = None
    """Minimum share of nodes that are on the provider."""
    operators: tuple[str, ...] | None = Field(None, min_length=1)
    """Operator types that the file may contain. Write types of other domains as `com.microsoft.FusedConv`."""
    agreement: Share | None = None
    """Minimum share of rows for which the model on its provider gives the same answer as the fine-tuned original in
    fp32 on a CPU."""
    max_drop: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Metric → how far it may fall below the fine-tuned original, in the metric's own unit. For a share, 0.01 is one
    point; for `si_sdr`, 0.3 is 0.3 decibels."""
    min_metric: dict[str, float] = {}
    """Metric → its minimum value."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    """Judges metrics by this one-sided confidence bound instead of the point estimate."""
