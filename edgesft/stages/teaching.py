"""How a stage's model learns from a teacher: by its answers, its hidden states or features, its attention."""

from __future__ import annotations

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.spec.auto import AUTO
from edgesft.spec.stages import LessonSpec
from edgesft.stages.context import StageContext
from edgesft.stages.training import answers
from edgesft.train.answers import Answers
from edgesft.train.distillation import Relations, Student, TeacherObjective, hidden_widths, matched
from edgesft.train.engine import loss_options
from edgesft.train.objective import Objective
from edgesft.train.recording import common_places


def taught(
    lesson: LessonSpec,
    student: nn.Module,
    teacher: nn.Module,
    context: StageContext,
    *,
    label: str,
    whole: StageContext | None = None,
    known: Answers | None = None,
) -> tuple[nn.Module, Objective]:
    """What trains, the student or the student with projections of its hidden states, and what it minimises.

    Args:
        lesson: The stage's spec.
        student: Is trained in place.
        teacher: Fits the student, see `load_teacher`.
        context: Rows and settings.
        label: The stage, to be told.
        whole: Of a stage that trains several times: where the teacher's answers to the rows are kept for all of them.
        known: Of such a stage: the teacher's answers to batches of changed rows.

    Raises:
        InputError: The model does not tell what is to be compared, or the map does not fit it.
    """
    trainee, places = _trainee(lesson, student, teacher, context)
    related = Relations.of(student, teacher) if lesson.relation_weight else None
    alone = trainee is student and related is None
    objective = TeacherObjective(
        context.task,
        answers(teacher, whole or context, label) if alone else teacher,
        temperature=lesson.temperature,
        hard_weight=_hard_weight(lesson, context),
        **loss_options(context.training, context.train),
        hidden=trainee.hidden_loss if isinstance(trainee, Student) else None,
        hidden_weight=lesson.hidden_weight if isinstance(lesson.hidden_weight, float) else 1.0,
        places=places,
        relations=related,
        relation_weight=lesson.relation_weight,
        known=known if alone else None,
    )
    return trainee, objective


def _hard_weight(lesson: LessonSpec, context: StageContext) -> float:
    """Weight of the labels."""
    usual = 0.0 if context.training.mixup or context.training.cutmix else lesson.labels_weigh
    return usual if lesson.hard_weight is None else lesson.hard_weight


def _trainee(
    lesson: LessonSpec, student: nn.Module, teacher: nn.Module, context: StageContext
) -> tuple[nn.Module, tuple[str, ...]]:
    """The student, with projections of its hidden states where they are compared; and where its features are."""
    if lesson.hidden_weight == 0:
        return student, ()
    batch = context.task.collate(context.train[:2], context.processor)
    inputs = {name: torch.as_tensor(value) for name, value in batch.items() if name != "labels"}
    places = () if lesson.hidden_weight == AUTO else common_places(student, teacher)
    try:
        widths, theirs = (hidden_widths(model, inputs, places) for model in (student, teacher))
    except InputError:
        if lesson.hidden_weight == AUTO:
            return student, ()
        raise
    return Student(student, widths, theirs, context.seed, _matches(lesson, len(widths), len(theirs))), places


def _matches(lesson: LessonSpec, count: int, teacher_count: int) -> tuple[int, ...] | None:
    if not lesson.layer_map:
        return None
    if len(lesson.layer_map) != count or max(lesson.layer_map) >= teacher_count:
        raise InputError(
            f"layer_map: must have {count} numbers, one for each hidden state of the student, the embeddings' first, "
            f"from 0 to {teacher_count - 1}. Got {list(lesson.layer_map)}",
            f"layer_map: {list(matched(count, teacher_count))}",
        )
    return lesson.layer_map
