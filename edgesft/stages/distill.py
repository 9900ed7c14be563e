"""Distillation: the model, or a shallower copy of it, learns from a teacher."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from torch import nn

from edgesft.spec.auto import AUTO
from edgesft.spec.stages import DistillSpec, Precision
from edgesft.stages import invariance
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.export import export_onnx
from edgesft.stages.quantize import trial
from edgesft.stages.teaching import taught
from edgesft.stages.training import keep_ranges, load_teacher, train
from edgesft.store.store import remember
from edgesft.tasks.base import Example
from edgesft.tasks.contract import Contract
from edgesft.train import checkpoint
from edgesft.train.layers import chosen_layers, keep_layers, layer_count

SEQUENCES = "sequences.json"
"""In the work folder: what the teacher said to the training rows."""

INT8 = "int8.json"
"""In the work folder: what `quantization: auto` was decided by."""

BORNE = 0.25
"""Share of the allowance up to which a student need not be trained for what 8 bits cost it."""


def run(spec: DistillSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Trains the student on the labels, the teacher's logits and its hidden states, and writes the student.

    Args:
        spec: The stage; its training settings are already in `context.training`.
        artefact: The student, a torch artefact.
        out: Folder of the result.
        context: Teacher, rows, settings and surroundings.

    Raises:
        InputError: There is no teacher, it has other labels than the student, or layers are wanted that are not there.
        StageError: The training diverged.
    """
    teacher = load_teacher(context, artefact.contract, spec.stage)
    student = checkpoint.load(artefact.path, context.task)
    kept: tuple[int, ...] | None = None
    if spec.layers is not None:
        kept = chosen_layers(spec.layers, layer_count(student))
        keep_layers(student, kept)
    context = _settled(lengthened(spec, context, artefact.contract), student, artefact.contract)
    if spec.sequences:
        context = replace(context, train=_retold(context, teacher))
    trainee, objective = taught(spec, student, teacher, context, label=spec.stage)
    report = train(trainee, context, label=spec.name or spec.stage, objective=objective, reader=teacher)
    checkpoint.save(student, out, context.processor, artefact.contract)
    keep_ranges(report, out)
    summary = report.summary(context.task.metrics[0])
    if kept is not None:
        summary += f", layers {', '.join(map(str, kept))} kept"
    details = {"training": asdict(report), "layers": kept, "quantization": context.training.quantization}
    return StageReport(summary, details)


def _retold(context: StageContext, teacher: nn.Module) -> list[Example]:
    """The training rows with what the teacher says in the place of their answers."""
    task, rows = context.task, context.train

    def ask() -> list[dict[str, list[int]]]:
        with context.progress.bar("distill: the teacher's answers", len(rows)) as advance:
            said = task.relabel(teacher.eval(), rows, context.processor, advance)
        return [{name: array.tolist() for name, array in example.items()} for example in said]

    kept = remember(context.work / SEQUENCES, ask)
    return [{name: np.asarray(values, np.int64) for name, values in example.items()} for example in kept]


def lengthened(spec: DistillSpec, context: StageContext, contract: Contract) -> StageContext:
    """The surroundings with the changes of rows decided, and with more epochs where that is mixtures.

    Args:
        spec: The stage.
        context: Has the teacher, the rows and the settings.
        contract: The student's.

    Raises:
        InputError: The teacher does not fit.
    """
    found = invariance.settled(context, contract, spec.stage)
    if context.training.mixup != AUTO or not found.training.mixup:
        return found
    longer = {"epochs": found.training.epochs * spec.mixed_epochs}
    return replace(found, training=found.training.model_copy(update=longer))


def _settled(context: StageContext, student: nn.Module, contract: Contract) -> StageContext:
    """The surroundings with `quantization: auto` decided by measurement: int8 where the student is faster in it, and
    loses by it.
    """
    if context.training.quantization != AUTO:
        return context
    precision = remember(context.work / INT8, lambda: _precision(context, student, contract))
    chosen = "none" if precision == "fp32" else precision
    return replace(context, training=context.training.model_copy(update={"quantization": chosen}))


def _precision(context: StageContext, student: nn.Module, contract: Contract) -> Precision:
    """The one to train for."""
    folder = context.work / "int8"

    def export() -> Path:
        task, rows = context.task, context.validation
        export_onnx(student, task, context.processor, rows, contract, folder, opset=context.profile.opset)
        return folder / "model.onnx"

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = trial.settled(AUTO, export, folder / "int8.onnx", context)
    if found != "fp32":
        lost = trial.lost(folder / "model.onnx", folder / "int8.onnx", found, context)
        if lost <= context.allowance * BORNE:
            context.progress.say(f"distill: the student bears {found} as it is, and learns in float")
            found = "fp32"
    shutil.rmtree(folder)
    return found
