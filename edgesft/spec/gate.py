"""What must hold in CI: a budget file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgesft.spec.base import Spec
from edgesft.spec.budget import BudgetSpec

Growth = Annotated[float, Field(ge=0)]


class GrowthSpec(Spec):
    """How much each figure may grow over the baseline's: 0.1 is a tenth; a figure set to null is not compared.

    What is counted repeats to the last digit and may not grow unless it is allowed to; a time that was taken in another
    job needs more room.
    """

    p50: Growth | None = 0.1
    """Median latency."""
    p90: Growth | None = None
    p95: Growth | None = None
    p99: Growth | None = None
    load: Growth | None = None
    """Session creation."""
    first_inference: Growth | None = None
    peak_memory: Growth | None = 0.1
    size: Growth | None = 0.0
    parameters: Growth | None = 0.0
    macs: Growth | None = 0.0
    nodes: Growth | None = 0.0
    partitions: Growth | None = 0.0
    off_provider: Growth | None = 0.0
    instructions: Growth | None = 0.01
    """Of one inference they repeat to within one in a thousand, for models of a few operators two."""


class GateSpec(BudgetSpec):
    """Limits that an artefact must meet, absolute ones and ones against a baseline."""

    version: Literal[1] = 1
    profile: str | None = None
    """Device profile that the limits are for; the command line's comes first, then this, then `this-machine`."""
    max_growth: GrowthSpec = GrowthSpec()
    """Against the entry of the baseline that is of the same model, profile, provider, runtime, threads and machine."""
