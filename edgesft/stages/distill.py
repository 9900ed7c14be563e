"""Distillation: the model, or a shallower copy of it, learns from a teacher."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.spec.auto import AUTO
from edgesft.spec.stages import DistillSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.training import answers, load_teacher, train
from edgesft.train import checkpoint, distillation
from edgesft.train.engine import loss_options
from edgesft.train.layers import chosen_layers, keep_layers, layer_count


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
    trainee = _trainee(spec, student, teacher, context)
    report = train(
        trainee,
        context,
        label=spec.name or spec.stage,
        objective=distillation.teacher_objective(
            context.task,
            answers(teacher, context, spec.stage) if trainee is student else teacher,
            temperature=spec.temperature,
            hard_weight=spec.hard_weight,
            **loss_options(context.training, context.train),
            hidden=trainee.hidden_loss if isinstance(trainee, distillation.Student) else None,
            hidden_weight=1.0 if spec.hidden_weight == "auto" else spec.hidden_weight,
        ),
    )
    checkpoint.save(student, out, context.processor, artefact.contract)
    summary = report.summary(context.task.metrics[0])
    if kept is not None:
        summary += f", layers {', '.join(map(str, kept))} kept"
    return StageReport(summary, {"training": asdict(report), "layers": kept})


def _trainee(spec: DistillSpec, student: nn.Module, teacher: nn.Module, context: StageContext) -> nn.Module:
    """The student, with projections of its hidden states where they are compared."""
    if spec.hidden_weight == 0:
        return student
    batch = context.task.collate(context.train[:2], context.processor)
    inputs = {name: torch.as_tensor(value) for name, value in batch.items() if name != "labels"}
    try:
        widths, taught = (distillation.hidden_widths(model, inputs) for model in (student, teacher))
    except InputError:
        if spec.hidden_weight == AUTO:
            return student
        raise
    return distillation.Student(student, widths, taught, context.seed)
