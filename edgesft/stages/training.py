"""How a stage trains: the engine in the stage's surroundings, and a teacher that fits the student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.measure.fingerprint import machine
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import RANGES
from edgesft.stages.context import StageContext
from edgesft.store.store import write_json
from edgesft.tasks.base import Batch
from edgesft.tasks.contract import Contract
from edgesft.train import checkpoint
from edgesft.train.engine import FitReport, fit
from edgesft.train.environment import arithmetic
from edgesft.train.objective import Objective
from edgesft.train.predictor import runner
from edgesft.train.trainer import arguments

BATCH = 32
"""Rows that are scored, or answered, at once."""

ANSWERS = "taught.npy"
"""In the work folder."""


def train(
    model: nn.Module,
    context: StageContext,
    *,
    label: str,
    objective: Objective | None = None,
    work: Path | None = None,
    reader: nn.Module | None = None,
) -> FitReport:
    """Trains a model in place on the context's rows with the stage's settings.

    Args:
        model: What is trained.
        context: Rows, settings, seed.
        label: Beside the progress bar.
        objective: What to minimise; by default the task's loss.
        work: Folder for the checkpoints; by default the context's.
        reader: Tells which tokens may stand for each other, see `fit`.

    Raises:
        StageError: The training diverged.
    """
    return fit(
        model,
        task=context.task,
        processor=context.processor,
        contract=context.contract,
        train=context.train,
        validation=context.validation,
        settings=_settled(context),
        seed=context.seed,
        work=work or context.work,
        progress=context.progress,
        label=label,
        objective=objective,
        numbers=context.numbers.get("train"),
        reader=reader,
    )


def _settled(context: StageContext) -> ResolvedTraining:
    """The settings with the number format that was found once for this machine: measured anew after a kill, it might be
    another, and what had been trained would be of no use.
    """
    settings = context.training
    if settings.arithmetic != "auto":
        return settings
    device = arguments(settings, context.work, context.seed).device
    here = {name: value for name, value in machine().items() if name in ("architecture", "instructions", "cores")}
    facts = {"kind": "arithmetic", "trained_on": {**here, "device": device.type}}
    found = context.record(facts, lambda: arithmetic(settings.arithmetic, device))
    return settings.model_copy(update={"arithmetic": found})


def keep_ranges(report: FitReport, out: Path) -> None:
    """Writes what layers learned to read, if they did, beside the model."""
    if report.ranges:
        # A student with projections trains inside of a wrapper.
        own = {name.removeprefix("student."): list(bounds) for name, bounds in report.ranges.items()}
        write_json(out / RANGES, own)


def answered(model: nn.Module, context: StageContext) -> np.ndarray:
    """A torch model's predictions of the validation rows."""
    run = runner(model, context.task.modules)
    return context.task.predict(run, context.validation, context.processor, batch_size=BATCH)


def score(model: nn.Module, context: StageContext) -> float:
    """The deciding metric of a torch model on the validation rows."""
    answers = answered(model, context)
    references = context.task.references(context.validation)
    return context.task.score(answers, references, context.contract)[context.task.metrics[0]]


def answers(teacher: nn.Module, context: StageContext, stage: str) -> nn.Module | torch.Tensor:
    """A teacher's answers to the training rows, computed once and kept in the work folder; where an answer is more than
    a row of numbers, or noise makes new rows of them, the teacher itself.
    """
    place = context.work / ANSWERS
    if context.training.noisy or not context.task.by_row:
        return teacher
    if not place.is_file():
        with context.progress.bar(f"{stage}: the teacher's answers", len(context.train)) as advance:
            ask = runner(teacher, context.task.modules)

            def told(batch: Batch, graph: str = "model") -> dict[str, np.ndarray]:
                advance(len(next(iter(batch.values()))))
                return ask(batch, graph)

            found = context.task.predict(told, context.train, context.processor, batch_size=BATCH)
        part = place.with_name(f"part-{ANSWERS}")
        np.save(part, found)
        part.replace(place)
    return torch.from_numpy(np.load(place))


def load_teacher(context: StageContext, student: Contract, stage: str) -> nn.Module:
    """The context's teacher, which must be a torch model for the student's labels in the student's order.

    Raises:
        InputError: There is none, or it does not fit.
    """
    teacher = context.teacher
    if teacher is None:
        raise InputError(
            f"{stage}.teacher: must be a fine-tuned model, got none", f"put a finetune stage before {stage}"
        )
    if teacher.form != "torch":
        raise InputError(
            f"{stage}.teacher: must be a torch model, got {teacher.form}", "name a stage before export or quantize"
        )
    theirs = teacher.contract
    if (student.task, student.labels) != (theirs.task, theirs.labels):
        raise InputError(
            f"{stage}.teacher: must have the student's labels {list(student.labels)}, in that order, "
            f"got {list(theirs.labels)}",
            "a teacher that was fine-tuned on the same data",
        )
    return checkpoint.load(teacher.path, context.task)
