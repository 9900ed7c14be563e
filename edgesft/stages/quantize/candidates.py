"""The ways to quantize that a profile allows, each made and verified in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.model.facts import read_facts
from edgesft.spec.stages import QuantizeSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext
from edgesft.stages.export.checks import spread
from edgesft.stages.quantize import neural, ort
from edgesft.stages.quantize.plan import Backend, QuantizePlan, Scheme
from edgesft.stages.quantize.verify import verify
from edgesft.tasks.base import Batch

VERIFY_ROWS = 16
"""Validation rows that a quantized file is run on before it is evaluated."""

PRECISION: dict[Scheme, str] = {"int8-dynamic": "int8", "int8-static": "int8", "int4": "int4", "fp16": "fp16"}
"""Scheme → the precision that a profile must list for it."""


@dataclass(frozen=True)
class Candidate:
    """One way to quantize."""

    scheme: Scheme
    backend: Backend = "onnxruntime"

    @property
    def name(self) -> str:
        """For the table and for folders."""
        return self.scheme if self.backend == "onnxruntime" else f"{self.scheme}-{self.backend}"


CANDIDATES = (
    Candidate("int8-dynamic"),
    Candidate("int8-static"),
    Candidate("int8-static", "neural-compressor"),
    Candidate("int4"),
    Candidate("fp16"),
)
"""What `scheme: auto` tries, in the order in which ties are broken."""


def wanted(spec: QuantizeSpec, precisions: Sequence[str]) -> tuple[Candidate, ...]:
    """The candidates that a spec asks for; `auto` asks for all that the profile's precisions allow."""
    if spec.scheme == "auto":
        return tuple(candidate for candidate in CANDIDATES if PRECISION[candidate.scheme] in precisions)
    if spec.scheme == "int8-static":
        return (Candidate(spec.scheme, spec.backend),)
    return (Candidate(spec.scheme),)


def build(
    candidate: Candidate, spec: QuantizeSpec, artefact: Artefact, target: Path, context: StageContext
) -> dict[str, Any]:
    """Makes one candidate's file and verifies it.

    Returns:
        JSON facts: the plan and what was verified.

    Raises:
        InputError: An exclude pattern matches no node.
        StageError: It could not be made, or is not what it should be.
        UnavailableError: Its backend is not installed.
    """
    plan = _quantize(candidate, spec, artefact, target, context)
    rows = context.task.requests(spread(context.validation, VERIFY_ROWS), context.processor)
    return {"plan": plan.to_json(), **verify(target, artefact.model, plan, rows)}


def _quantize(
    candidate: Candidate, spec: QuantizeSpec, artefact: Artefact, target: Path, context: StageContext
) -> QuantizePlan:
    source, exclude, per_channel = artefact.model, spec.exclude, spec.per_channel
    if candidate.scheme == "int8-dynamic":
        return ort.dynamic(source, target, per_channel=per_channel, exclude=exclude)
    if candidate.scheme == "int4":
        return ort.int4(source, target, exclude=exclude)
    if candidate.scheme == "fp16":
        return ort.fp16(source, target, exclude=exclude)
    requests = calibration_requests(spec, context)
    if candidate.backend == "onnxruntime":
        return ort.static(
            source, target, requests, calibration=spec.calibration, per_channel=per_channel, exclude=exclude
        )
    if artefact.origin is None:
        raise StageError("neural-compressor must start from the torch model. Got an ONNX file without it")
    from edgesft.train.checkpoint import load

    model = load(artefact.origin.path, context.task)
    graphs = context.task.graphs(model, context.processor, spread(context.validation, 4)[1:-1])
    if len(graphs) != 1:
        raise StageError(f"neural-compressor must quantize one graph. Got {[graph.name for graph in graphs]}")
    opset = read_facts(source).opset
    return neural.neural_static(
        graphs[0], source, target, requests, opset=opset, per_channel=per_channel, exclude=exclude
    )


def calibration_requests(spec: QuantizeSpec, context: StageContext) -> list[Batch]:
    """Requests made of training rows drawn by the seed: what the device sends, so nothing is padded."""
    count = min(spec.calibration_rows, len(context.train))
    drawn = np.random.default_rng(context.seed).choice(len(context.train), count, replace=False)
    return context.task.requests([context.train[index] for index in sorted(drawn)], context.processor)
