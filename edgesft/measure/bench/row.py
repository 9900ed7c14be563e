"""What was found of one model on one provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesft.budget.percentile import CONFIDENCE
from edgesft.budget.verdict import Line
from edgesft.measure.devices import HERE
from edgesft.measure.explain.explain import Explanation
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile
from edgesft.measure.parity import Parity


@dataclass(frozen=True)
class Row:
    """A model on a provider.

    Attributes:
        name: Of the row.
        file: The model.
        provider: That was asked for.
        device: Where.
        measurement: What was measured, or None.
        problem: Why it was not.
        parity: How far its answers are from the reference's, or None where there is nothing to compare.
        reference: What that was compared with, or why it was not.
        agreement: Of a variant, how far its answers on the provider are from those of the model that it was made of.
        made: How a variant was made; empty for the file as it is.
        whole: Whether the provider takes the model with no node left to the CPU; None where that was not tried.
        time_shares: Provider → share of the nodes' time, or None where that was not profiled.
        explanation: Where the time goes, where that was asked for.
        confidence: Of each bound of the latency by itself: more than is stated where measuring might have ended early.
        lines: The budget's lines.
    """

    name: str
    file: ModelFile
    provider: str
    device: str = HERE.label
    measurement: Measurement | None = None
    problem: str | None = None
    parity: Parity | None = None
    reference: str = ""
    agreement: Parity | None = None
    made: str = ""
    whole: bool | None = None
    time_shares: Mapping[str, float] | None = None
    explanation: Explanation | None = None
    confidence: float = CONFIDENCE
    lines: tuple[Line, ...] = ()
