"""What a run on one profile found: rows, budget lines, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesft.budget.percentile import Interval
from edgesft.budget.verdict import Line, Verdict
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import inspect
from edgesft.pipeline.keep import Decision
from edgesft.spec.profile import ProfileSpec
from edgesft.stages.artefact import CONTRACT, Artefact
from edgesft.stages.context import StageReport
from edgesft.tasks.metrics import unanswered


@dataclass(frozen=True)
class Evaluation:
    """What a model scored on one split, and its predictions, for paired comparisons."""

    metrics: Mapping[str, float]
    predictions: np.ndarray

    @property
    def problem(self) -> str | None:
        """What of the predictions is no number; None where all are."""
        got = unanswered.told(self.predictions)
        return f"does not answer with numbers: {got}" if got else None


@dataclass
class Row:
    """One stage and its result, measured on its ONNX export.

    Attributes:
        stage: Its kind.
        name: Its name in the run.
        onnx: The ONNX export of what it made.
        report: What it says it did.
        evaluations: Split name → what it scored.
        decision: Whether it stays; None until it is judged.
        measurement: Its latency, taken interleaved with all other rows; None where that failed.
        opening: The same of what begins an answer, where it takes many inferences.
        problem: Why it failed.
        levels: Metric → its value on the report's split, with bounds over the rows.
        drops: Metric → how far it lies below the fine-tuned original's, with bounds.
        calibration: What its answers to the validation rows add to its contract; of the final model's row alone.
    """

    stage: str
    name: str
    onnx: Artefact
    report: StageReport
    evaluations: dict[str, Evaluation]
    decision: Decision | None = None
    measurement: Measurement | None = None
    opening: Measurement | None = None
    problem: str = ""
    levels: Mapping[str, Interval] = field(default_factory=dict)
    drops: Mapping[str, Interval] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of every file that the device loads."""
        if not self.calibration:
            return self.onnx.size_bytes
        before = (self.onnx.path / CONTRACT).stat().st_size
        return self.onnx.size_bytes - before + len(self.onnx.contract.extended(self.calibration).text().encode())

    @property
    def precision(self) -> str:
        """What its numbers are: the scheme that quantized it, or else what its file tells."""
        return str(self.report.details.get("chosen") or inspect(self.onnx.model).precision or "fp32")

    @property
    def kept(self) -> bool:
        """Whether the final model went through it."""
        return self.decision is not None and self.decision.kept


@dataclass(frozen=True)
class Outcome:
    """A finished run on one profile.

    Attributes:
        profile: The device.
        verdict: The worst of the lines.
        lines: The budget, judged.
        metric: The one that decides, of those that the task takes.
        split: What the metrics in the budget and the bounds of the rows are taken on.
        rows: Every stage, kept or not.
        final: The model that the run is for.
        calibration: What its answers to the validation rows add to its contract (`Task.calibrate`).
        evaluation: What else the final model's answers on that split tell (`Task.evaluate`).
        recipe: The resolved recipe.
        environment: Machine, versions, and where the machine is not the profile's.
        warnings: What the person should know and that stopped nothing.
        lineage: Digests of the pretrained model and of the rows, by which what it was made from is known again.
    """

    profile: ProfileSpec
    verdict: Verdict
    lines: tuple[Line, ...]
    metric: str
    split: str
    rows: tuple[Row, ...]
    final: Artefact
    calibration: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    warnings: tuple[str, ...]
    lineage: Mapping[str, Any] = field(default_factory=dict)
