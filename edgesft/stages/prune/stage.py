"""The prune stage: score, plan, cut, recover."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.spec.stages import PruneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.importance import magnitude, taylor
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import (
    PrunePlan,
    make_plan,
    removal_order,
    shares_left,
    steps_for_parameters,
    what_else,
)
from edgesft.stages.prune.search import remembered, steps_for_latency
from edgesft.stages.prune.select import select
from edgesft.stages.training import load_teacher, train
from edgesft.store.store import write_json
from edgesft.tasks.base import Contract
from edgesft.train import checkpoint
from edgesft.train.batches import Steps
from edgesft.train.distillation import teacher_objective
from edgesft.train.engine import FitReport, loss_options
from edgesft.train.normalisation import recalibrate
from edgesft.train.objective import Objective, inputs_of, task_objective

CALIBRATION_BATCHES = 32
"""Most training batches that the scores are averaged over: about a thousand rows at the usual 32 a batch, so that a
mean has a standard error of some 3 % of the rows' spread, for the price of as many training steps."""

PLAN, SCORES, POINTS = "plan.json", "importance.json", "latency.json"
"""What decided something, in the work folder."""


def run(spec: PruneSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Cuts heads, feed-forward units or hidden channels for good, then trains what is left.

    Args:
        spec: The target and which widths may shrink.
        artefact: A torch artefact.
        out: Empty folder for the pruned one.
        context: The surroundings; scores, measured latencies and the plan are kept in `work` and replayed from there.

    Raises:
        InputError: The target cannot be reached, or targets or patterns do not fit the model.
        StageError: The cut model does not run or has other sizes than planned.
    """
    model = checkpoint.load(artefact.path, context.task)
    sample = _sample(context)
    chosen = _remember(context.work / PLAN, lambda: _decide(spec, model, sample, artefact.contract, context))
    plan = PrunePlan.from_json(chosen["plan"])
    apply_plan(model, plan, sample, context.task.logits)
    context.progress.say(plan.table())
    recalibrate(model, map(inputs_of, _calibration(context, "prune: batch normalisation")))
    report = _recover(spec, model, artefact.contract, context)
    checkpoint.save(model, out, context.processor, artefact.contract)
    summary = plan.summary()
    if "latency" in chosen:
        summary += f", latency {chosen['latency']['ratio']:.2f} of its input's"
    return StageReport(summary, {**chosen, "training": asdict(report)})


def _remember(place: Path, make: Callable[[], Any]) -> Any:
    """A JSON value from the work folder, made and stored first where it is not there."""
    if not place.is_file():
        write_json(place, make())
    return json.loads(place.read_text("utf-8"))


def _sample(context: StageContext) -> dict[str, torch.Tensor]:
    """Two rows as the model's inputs, to trace it with."""
    batch = context.task.collate(context.train[:2], context.processor)
    return inputs_of({name: torch.as_tensor(value) for name, value in batch.items()})


def _decide(
    spec: PruneSpec, model: nn.Module, sample: dict[str, torch.Tensor], contract: Contract, context: StageContext
) -> dict[str, Any]:
    """The plan, and for a latency target the points that led to it; JSON values."""
    layout = select(find_widths(model, trace(model, sample, context.task.logits)), spec.targets, spec.exclude)
    multiple = spec.channel_multiple or context.profile.channel_multiple
    stored = _remember(context.work / SCORES, lambda: _importance(spec, model, layout, context))
    scores = {name: np.asarray(values) for name, values in stored.items()}
    order = removal_order(layout, scores, multiple=multiple, max_share=spec.max_share)
    if spec.parameters is not None:
        steps = steps_for_parameters(layout, order, spec.parameters)
        return {"plan": make_plan(layout, order[:steps]).to_json()}
    bench = Bench(spec, model, sample, layout, order, contract, context)
    shares = shares_left(layout, order)
    measure = remembered(context.work / POINTS, bench.measure)
    point, points = steps_for_latency(shares, float(spec.latency or 0), measure, what_else(layout))
    found = {"precision": spec.precision, "ratio": point.ratio, "points": [vars(one) for one in points]}
    return {"plan": make_plan(layout, order[: point.steps]).to_json(), "latency": found}


def _importance(spec: PruneSpec, model: nn.Module, layout: Layout, context: StageContext) -> dict[str, list[float]]:
    if spec.importance == "magnitude":
        found = magnitude(layout.widths, dict(model.named_parameters()))
    else:
        found = taylor(model, layout.widths, _calibration(context, "prune: importance"), task_objective(context.task))
    return {name: scores.tolist() for name, scores in found.items()}


def _calibration(context: StageContext, label: str) -> Iterator[Mapping[str, Any]]:
    """The first batches of training, without noise."""
    settings = context.training.without_noise()
    batches = Steps(context.task, context.processor, context.train, settings, context.seed)
    count = min(CALIBRATION_BATCHES, math.ceil(len(context.train) / settings.batch_size))
    with context.progress.bar(label, count) as advance:
        for index in range(count):
            yield batches[index]
            advance()


def _recover(spec: PruneSpec, model: nn.Module, contract: Contract, context: StageContext) -> FitReport:
    objective: Objective | None = None
    if context.teacher is not None:
        objective = teacher_objective(
            context.task,
            load_teacher(context, contract, spec.stage),
            temperature=spec.temperature,
            hard_weight=spec.hard_weight,
            **loss_options(context.training, context.train),
        )
    return train(model, context, label="prune: recovery", objective=objective, work=context.work / "recovery")
