"""The budget file for CI: what a model must meet before it is merged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgesft.spec.base import Spec
from edgesft.spec.budget import BudgetSpec

Growth = Annotated[float, Field(ge=0)]


class GrowthSpec(Spec):
    """How much each figure may grow over the baseline: 0.1 is 10 %. A figure set to null is not compared.

    What is counted repeats to the last digit and may not grow unless it is allowed to; a time that was taken in another
    job needs more room.
    """

    p50: Growth | None = 0.1
    """Median latency."""
    p90: Growth | None = None
    p95: Growth | None = None
    p99: Growth | None = None
    load: Growth | None = None
    """Time to create the session."""
    first_inference: Growth | None = None
    peak_memory: Growth | None = 0.1
    size: Growth | None = 0.0
    """Bytes of the model's file and its external data. `size_mb` and `size_ratio` count every file of a run."""
    parameters: Growth | None = 0.0
    macs: Growth | None = 0.0
    nodes: Growth | None = 0.0
    partitions: Growth | None = 0.0
    off_provider: Growth | None = 0.0
    instructions: Growth | None = 0.01
    """The count for one inference varies by 0.1 % between runs, and by 0.2 % for models of only a few operators."""


class GateSpec(BudgetSpec):
    """Limits that a model must meet: absolute ones, and ones relative to a baseline."""

    version: Literal[1] = 1
    profile: str | None = None
    """Device profile that the limits are for. `--profile` takes precedence; without either it is `this-machine`."""
    max_growth: GrowthSpec = GrowthSpec()
    """Compared with the baseline entry for the same model, profile, provider with its options, runtime, threads and
    machine."""
