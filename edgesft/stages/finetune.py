"""Supervised fine-tuning on the labelled rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from edgesft.spec.stages import FinetuneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.training import train
from edgesft.train import checkpoint
from edgesft.train.diagnosis import diagnose
from edgesft.train.evidence import gather
from edgesft.train.head import imprint


def run(spec: FinetuneSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Trains the model on the rows and writes the best weights.

    Args:
        spec: The stage; its settings are already in `context.training`.
        artefact: A torch artefact.
        out: Folder of the result.
        context: Rows, settings and surroundings.

    Raises:
        InputError: The artefact is damaged.
        StageError: The training diverged.
    """
    model = checkpoint.load(artefact.path, context.task)
    if spec.head == "prototypes":
        imprint(
            model,
            len(artefact.contract.labels),
            task=context.task,
            processor=context.processor,
            train=context.train,
            settings=context.training,
            seed=context.seed,
        )
    report = train(model, context, label=spec.name or spec.stage)
    checkpoint.save(model, out, context.processor, artefact.contract)
    found = gather(
        model,
        context.task,
        context.processor,
        context.train,
        context.validation,
        report,
        epochs=context.training.epochs,
        seed=context.seed,
        claim=context.allowance,
        names=artefact.contract.labels,
    )
    diagnosis = [finding.to_json() for finding in diagnose(found)] if found else []
    return StageReport(report.summary(context.task.metrics[0]), {"training": asdict(report), "diagnosis": diagnosis})
