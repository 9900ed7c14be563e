"""Distillation: the model, or a shallower copy of it, learns from a teacher."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.spec.auto import AUTO
from edgesft.spec.stages import DistillSpec
from edgesft.stages import invariance
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.export import export_onnx
from edgesft.stages.quantize import dynamic, static
from edgesft.stages.training import answers, keep_ranges, load_teacher, train
from edgesft.store.store import remember
from edgesft.tasks.base import Contract
from edgesft.train import checkpoint
from edgesft.train.distillation import Relations, Student, hidden_widths, matched, teacher_objective
from edgesft.train.engine import loss_options
from edgesft.train.layers import chosen_layers, keep_layers, layer_count
from edgesft.train.recording import CONVOLUTIONS, common_places

INT8 = "int8.json"
"""In the work folder: what `quantization: auto` was decided by."""

PAYS, CALIBRATED = 0.95, 16
"""Share of the fp32 latency up to which training for int8 pays, and rows that its trial is calibrated on."""


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
    context = _settled(invariance.settled(context, artefact.contract, spec.stage), student, artefact.contract)
    trainee, places = _trainee(spec, student, teacher, context)
    related = Relations.of(student, teacher) if spec.relation_weight else None
    report = train(
        trainee,
        context,
        label=spec.name or spec.stage,
        objective=teacher_objective(
            context.task,
            answers(teacher, context, spec.stage) if trainee is student and related is None else teacher,
            temperature=spec.temperature,
            hard_weight=spec.hard_weight,
            **loss_options(context.training, context.train),
            hidden=trainee.hidden_loss if isinstance(trainee, Student) else None,
            hidden_weight=spec.hidden_weight if isinstance(spec.hidden_weight, float) else 1.0,
            places=places,
            relations=related,
            relation_weight=spec.relation_weight,
        ),
    )
    checkpoint.save(student, out, context.processor, artefact.contract)
    keep_ranges(report, out)
    summary = report.summary(context.task.metrics[0])
    if kept is not None:
        summary += f", layers {', '.join(map(str, kept))} kept"
    details = {"training": asdict(report), "layers": kept, "quantization": context.training.quantization}
    return StageReport(summary, details)


def _settled(context: StageContext, student: nn.Module, contract: Contract) -> StageContext:
    """The surroundings with `quantization: auto` decided by measurement."""
    if context.training.quantization != AUTO:
        return context
    if "int8" not in context.profile.precisions:
        return replace(context, training=context.training.model_copy(update={"quantization": "none"}))
    share = float(remember(context.work / INT8, lambda: _int8_share(context, student, contract)))
    context.progress.say(f"distill: int8 takes {share:.2f} of the time")
    chosen = _scheme(student) if share <= PAYS else "none"
    return replace(context, training=context.training.model_copy(update={"quantization": chosen}))


def _int8_share(context: StageContext, student: nn.Module, contract: Contract) -> float:
    """Latency of the student in int8 over that in fp32."""
    folder = context.work / "int8"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    task, processor, rows = context.task, context.processor, context.validation
    export_onnx(student, task, processor, rows, contract, folder, opset=context.profile.opset)
    source, target = folder / "model.onnx", folder / "int8.onnx"
    if _scheme(student) == "int8-static":
        static(source, target, task.requests(rows[:CALIBRATED], processor))
    else:
        dynamic(source, target)
    plain, small = context.latency([source, target])
    shutil.rmtree(folder)
    return small / plain


def _scheme(student: nn.Module) -> str:
    """The one for such a model: convolutions have no fast dynamic kernels, and transformers bear no fixed ranges."""
    return "int8-static" if any(isinstance(module, CONVOLUTIONS) for module in student.modules()) else "int8-dynamic"


def _trainee(
    spec: DistillSpec, student: nn.Module, teacher: nn.Module, context: StageContext
) -> tuple[nn.Module, tuple[str, ...]]:
    """The student, with projections of its hidden states where they are compared; and where its features are."""
    if spec.hidden_weight == 0:
        return student, ()
    batch = context.task.collate(context.train[:2], context.processor)
    inputs = {name: torch.as_tensor(value) for name, value in batch.items() if name != "labels"}
    places = () if spec.hidden_weight == AUTO else common_places(student, teacher)
    try:
        widths, taught = (hidden_widths(model, inputs, places) for model in (student, teacher))
    except InputError:
        if spec.hidden_weight == AUTO:
            return student, ()
        raise
    return Student(student, widths, taught, context.seed, _matches(spec, len(widths), len(taught))), places


def _matches(spec: DistillSpec, count: int, teacher_count: int) -> tuple[int, ...] | None:
    if not spec.layer_map:
        return None
    if len(spec.layer_map) != count or max(spec.layer_map) >= teacher_count:
        raise InputError(
            f"layer_map: must have {count} numbers, one for each hidden state of the student, the embeddings' first, "
            f"from 0 to {teacher_count - 1}. Got {list(spec.layer_map)}",
            f"layer_map: {list(matched(count, teacher_count))}",
        )
    return spec.layer_map
