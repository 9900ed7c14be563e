"""Chooses the changes of rows (mirroring, shifting, mixing) that a student also learns from, by asking its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from edgesft.spec.auto import AUTO
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.context import StageContext
from edgesft.stages.export.checks import spread
from edgesft.stages.training import BATCH, load_teacher, score
from edgesft.store.store import remember
from edgesft.tasks.base import Example
from edgesft.tasks.contract import Contract
from edgesft.train.batches import changed

BY_HEART, MIXED = 0.05, 0.5
"""How far a teacher's metric on the rows that it trained on must be above the one on validation for them to be known by
heart, and the largest share of another row that is then mixed into each (Beyer et al. 2021, arXiv 2106.05237, section
3.1, find mixtures to help students most)."""

FLIP, SHIFTS = 0.5, (1 / 8, 1 / 16)
"""Share of the rows that are mirrored, and shares of an axis up to which they are moved, the largest that is harmless:
the usual ones of CIFAR-10 (He et al. 2015, arXiv 1512.03385, section 4.2: 4 of 32 pixels), or half of it."""

VIEWS = 4
"""Of each validation row, where few of them are to tell two models apart."""

FOUND = "noise.json"
"""In the work folder."""


def settled(context: StageContext, contract: Contract, stage: str) -> StageContext:
    """The surroundings with `flip`, `shift` and `mixup` decided where they are `auto`.

    A change that leaves the teacher's deciding metric on the validation rows within the allowance says nothing else
    than the row did, so that it is a row more to learn from. Of rows that it knows by heart a teacher is as sure as
    their labels are; of mixtures it tells what is like what.

    Args:
        context: Has the teacher, the rows and the settings.
        contract: The student's.
        stage: Kind of the stage.

    Raises:
        InputError: The teacher does not fit.
    """
    asked = [name for name in ("flip", "shift", "mixup") if getattr(context.training, name) == AUTO]
    if not asked:
        return context
    found = remember(context.work / FOUND, lambda: _found(context, load_teacher(context, contract, stage)))
    if any(found[name] for name in asked):
        context.progress.say(f"the student also learns from {_told(found)}")
    return replace(context, training=_changed(context.training, {name: found[name] for name in asked}))


def views(context: StageContext) -> StageContext | None:
    """The surroundings with each validation row several times, changed as the teacher does not mind.

    A metric on them varies less than on the rows themselves, of which those between two classes fall on either side by
    chance. None where rows are not changed that way.
    """
    settings = _changed(
        context.training.without_noise(), {"flip": context.training.flip, "shift": context.training.shift}
    )
    if not settings.noisy:
        return None
    return replace(context, validation=_changed_rows(context, settings))


def _found(context: StageContext, teacher: nn.Module) -> dict[str, Any]:
    """What is asked for; JSON values."""
    still = context.training.without_noise()
    whole = _metric(context, teacher, still)

    def harmless(change: Mapping[str, Any]) -> bool:
        return whole - _metric(context, teacher, _changed(still, change)) <= context.allowance

    shapes = [value.shape[-2:] for name, value in context.validation[0].items() if name != "labels"]
    axes = max(map(len, shapes), default=0)

    def farthest(axis: int) -> float:
        alone = ((share, tuple(share if axis == other else 0.0 for other in range(axes))) for share in SHIFTS)
        length = max(shape[axis - axes] for shape in shapes if len(shape) >= axes - axis)
        return next((share for share, moved in alone if share * length >= 1 and harmless({"shift": moved})), 0.0)

    def known() -> bool:
        own = spread(context.train, len(context.validation))
        return score(teacher, replace(context, validation=own)) - whole > BY_HEART

    settings, found = context.training, dict[str, Any]()
    if settings.flip == AUTO:
        found["flip"] = FLIP if harmless({"flip": 1.0}) else 0.0
    if settings.shift == AUTO:
        shift = [farthest(axis) for axis in range(axes)]
        found["shift"] = shift if any(shift) else []
    if settings.mixup == AUTO:
        found["mixup"] = MIXED if known() else 0.0
    return found


def _changed(settings: ResolvedTraining, change: Mapping[str, Any]) -> ResolvedTraining:
    return settings.model_copy(update={name: tuple(v) if isinstance(v, list) else v for name, v in change.items()})


def _metric(context: StageContext, teacher: nn.Module, settings: ResolvedTraining) -> float:
    """The teacher's deciding metric on the validation rows, changed as the settings have it."""
    rows = _changed_rows(context, settings) if settings.noisy else context.validation
    return score(teacher, replace(context, validation=rows))


def _changed_rows(context: StageContext, settings: ResolvedTraining) -> list[Example]:
    """The validation rows with noise, `VIEWS` times."""
    task, rng = context.task, np.random.default_rng(context.seed)
    rows: list[Example] = []
    for start in [*range(0, len(context.validation), BATCH)] * VIEWS:
        batch = changed(task, context.validation[start : start + BATCH], context.processor, settings, rng)
        count = len(next(iter(batch.values())))
        rows += [{name: values[row] for name, values in batch.items()} for row in range(count)]
    return rows


def _told(found: Mapping[str, Any]) -> str:
    shift = found.get("shift", [])
    moved = [f"rows moved by {share:g} of axis {axis - len(shift)}" for axis, share in enumerate(shift) if share]
    mirrored = ["mirrored rows"] if found.get("flip") else []
    return ", ".join([*mirrored, *moved, *(["mixtures of rows"] if found.get("mixup") else [])])
