"""The prune stage: score, plan, cut, recover."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.spec.stages import PruneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.decision import SCORED, Decision, calibration, remember
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.plan import PrunePlan
from edgesft.stages.prune.select import select
from edgesft.stages.training import load_teacher, train
from edgesft.tasks.base import Contract
from edgesft.train import checkpoint
from edgesft.train.distillation import teacher_objective
from edgesft.train.engine import FitReport, loss_options
from edgesft.train.normalisation import recalibrate
from edgesft.train.objective import Objective, inputs_of

PLAN = "plan.json"
"""In the work folder."""


def run(spec: PruneSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Cuts heads, feed-forward units or hidden channels for good, then trains what is left; in rounds where asked.

    Args:
        spec: The target and which widths may shrink.
        artefact: A torch artefact.
        out: Empty folder for the pruned one.
        context: The surroundings; scores, measured latencies and the plan are kept in `work` and replayed from there.

    Raises:
        InputError: The target cannot be reached, or targets or patterns do not fit the model.
        StageError: The cut model does not run or has other sizes than planned.
    """
    model, sample = checkpoint.load(artefact.path, context.task), _sample(context)
    layout = select(find_widths(model, trace(model, sample, context.task.logits)), spec.targets, spec.exclude)
    if layout.left_alone:
        context.progress.say(f"prune: left alone: {', '.join(layout.left_alone)}")
    bench = Bench(spec, copy.deepcopy(model), sample, layout, artefact.contract, context)
    rounds: list[dict[str, Any]] = []
    for number in range(1, spec.rounds + 1):
        own = context if spec.rounds == 1 else _of_round(context, number, spec.rounds)
        decision = Decision(spec, model, bench, own, number / spec.rounds)
        chosen = remember(own.work / PLAN, decision.make)
        plan = PrunePlan.from_json(chosen["plan"])
        apply_plan(model, plan, sample, context.task.logits)
        context.progress.say(plan.table())
        recalibrate(model, map(inputs_of, calibration(own, "prune: batch normalisation", SCORED)))
        report = _recover(spec, model, artefact.contract, own)
        rounds.append({**chosen, "training": asdict(report)})
    checkpoint.save(model, out, context.processor, artefact.contract)
    return StageReport(_summary(rounds), {**rounds[-1], "earlier_rounds": rounds[:-1]} if rounds[1:] else rounds[-1])


def _of_round(context: StageContext, number: int, rounds: int) -> StageContext:
    """The surroundings of one of several rounds, which share the epochs."""
    shorter = context.training.model_copy(update={"epochs": context.training.epochs / rounds})
    work = context.work / f"round-{number}"
    work.mkdir(parents=True, exist_ok=True)
    return replace(context, training=shorter, work=work)


def _summary(rounds: Sequence[Mapping[str, Any]]) -> str:
    first, last = (PrunePlan.from_json(each["plan"]) for each in (rounds[0], rounds[-1]))
    found = last.since(first).summary()
    return found + (f", latency {rounds[-1]['latency']['ratio']:.2f} of its input's" if "latency" in rounds[-1] else "")


def _sample(context: StageContext) -> dict[str, torch.Tensor]:
    """Two rows as the model's inputs, to trace it with."""
    batch = context.task.collate(context.train[:2], context.processor)
    return inputs_of({name: torch.as_tensor(value) for name, value in batch.items()})


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
