"""One cut of the prune stage: choose what goes, cut it, train what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from edgesft.stages.context import StageContext
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.decision import SCORED, SILENCED, Decision, calibration
from edgesft.stages.prune.plan import PrunePlan
from edgesft.stages.teaching import taught
from edgesft.stages.training import load_teacher, train
from edgesft.store.store import remember
from edgesft.train.engine import FitReport
from edgesft.train.normalisation import recalibrate
from edgesft.train.objective import inputs_of

PLAN = "plan.json"
"""In the work folder."""


def choose(bench: Bench, model: nn.Module, context: StageContext, target: float) -> dict[str, Any]:
    """What to cut for a share of the stage's input; JSON values.

    Raises:
        InputError: It cannot be reached.
    """
    found: dict[str, Any] = remember(context.work / PLAN, Decision(bench.spec, model, bench, context, target).make)
    return found


def cut(bench: Bench, model: nn.Module, context: StageContext, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Cuts a model in place and trains it; what was chosen with what came of it, JSON values."""
    plan = PrunePlan.from_json(chosen["plan"])
    apply_plan(model, plan, bench.sample, context.task.logits, lambda: _rows(context))
    context.progress.say(plan.table())
    recalibrate(model, map(inputs_of, calibration(context, "prune: batch normalisation", SCORED)))
    report = recover(bench, model, context)
    return {**chosen, "training": asdict(report)}


def recover(bench: Bench, model: nn.Module, context: StageContext) -> FitReport:
    """Trains what is left, with the teacher where there is one."""
    spec, trainee, teacher, objective = bench.spec, model, None, None
    if context.teacher is not None:
        teacher = load_teacher(context, bench.contract, spec.stage)
        trainee, objective = taught(
            spec, model, teacher, context, label=spec.stage, whole=bench.context, known=bench.known
        )
    place = context.work / "recovery"
    return train(trainee, context, label="prune: recovery", objective=objective, work=place, reader=teacher)


def numbered(context: StageContext, number: int) -> StageContext:
    """The surroundings with a work folder of a round's own."""
    work = context.work / f"round-{number}"
    work.mkdir(parents=True, exist_ok=True)
    return replace(context, work=work)


def _rows(context: StageContext) -> list[Mapping[str, torch.Tensor]]:
    return [inputs_of(batch) for batch in calibration(context, "prune: layers", SILENCED)]
