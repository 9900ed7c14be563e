"""The prune stage: score, plan, cut, recover."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.budget.metric import fall
from edgesft.errors import InputError
from edgesft.spec.stages import PruneSpec
from edgesft.stages import invariance
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.decision import SCORED, SILENCED, Decision, calibration
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.plan import PrunePlan
from edgesft.stages.prune.search import WITHIN
from edgesft.stages.prune.select import select
from edgesft.stages.prune.vocabulary import trim_vocabulary
from edgesft.stages.quantize.choose import ROUNDING
from edgesft.stages.teaching import taught
from edgesft.stages.training import load_teacher, score, train
from edgesft.store.store import remember
from edgesft.train import checkpoint
from edgesft.train.engine import FitReport
from edgesft.train.normalisation import recalibrate
from edgesft.train.objective import inputs_of

PLAN, WHOLE, JUDGED, ASKED = "plan.json", "whole.json", "judged.json", "asked.json"
"""In the work folder."""

ROWS, VIEWS = "rows", "views"
"""What falls of the metric are counted on: validation rows, and those several times, changed (`invariance.views`)."""

STEP, LEAST = 0.7, 0.9
"""Where a stage goes as far as it can: the share of latency that each round aims to leave, its square root once that
went too far or cannot be had; what would leave more than the latter is not tried."""

SPARED = 0.5
"""Share of the allowance that such a stage leaves to what follows it: int8 gains more than the last cut would."""

LONGER, HOPELESS = 2.0, 4.0
"""What falls too far is trained again, for so many times the epochs, but where it fell further than so many times the
allowance."""

MOST = 20
"""Rounds at most: what is left would be a thousandth."""


def run(spec: PruneSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Cuts heads, feed-forward units or channels for good, then trains what is left; in rounds where asked.

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
    trimmed = trim_vocabulary(spec, model, artefact.contract, context)
    contract, context = trimmed.contract, invariance.settled(trimmed.context, trimmed.contract, spec.stage)
    found = find_widths(model, trace(model, sample, context.task.logits), ranks="rank" in (spec.targets or ()))
    layout = select(found, spec.targets, spec.exclude)
    if layout.spared:
        context.progress.say(f"prune: {layout.spared}")
    bench = Bench(spec, copy.deepcopy(model), sample, layout, contract, context)
    if spec.parameters is None:
        bench = bench.precise()
    if spec.latency == "auto":
        model, rounds = _as_far_as_it_holds(bench, model)
    else:
        target = _target(bench)
        rounds = []
        for number in range(1, spec.rounds + 1):
            own = _of_round(context, number, spec.rounds)
            chosen = _chosen(bench, model, own, target ** (number / spec.rounds))
            rounds.append(_cut(bench, model, own, chosen))
    checkpoint.save(model, out, context.processor, contract)
    kept = [each for each in rounds if each.get("holds", True)]
    told = {"vocabulary": trimmed.details} if trimmed.details else {}
    if not kept:
        why = "every cut lost more than the allowance" if rounds else "no smaller model is possible"
        return StageReport(f"{trimmed.summary}nothing cut: {why}", {**told, "rounds": rounds})
    details = {**kept[-1], "rounds": rounds} if rounds[1:] else kept[-1]
    return StageReport(trimmed.summary + _summary(kept), {**told, **details})


def _target(bench: Bench) -> float:
    """The share that may remain."""
    spec = bench.spec
    if spec.latency_ms is None:
        return float(spec.parameters or spec.latency or 0)
    whole = remember(bench.context.work / WHOLE, bench.whole) / 1e6
    if whole <= spec.latency_ms:
        raise InputError(
            f"prune.latency_ms: must be below the input's latency, {whole:.3g} ms. Got: {spec.latency_ms:g}",
            "leave the stage out",
        )
    return float(spec.latency_ms) / whole


def _as_far_as_it_holds(bench: Bench, model: nn.Module) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Rounds until the deciding metric falls by more than its part of the allowance; the last model that held, and all
    rounds.

    What the budget asks for is aimed at first. Past that, speed is a bonus, and may cost less.
    """
    context, views = bench.context, invariance.views(bench.context)
    before = remember(context.work / WHOLE, lambda: _before(bench, model, views))
    asked = remember(context.work / ASKED, lambda: _asked(bench))
    rounds: list[dict[str, Any]] = []
    ratio, step = 1.0, STEP
    while step <= LEAST and len(rounds) < MOST:
        candidate, own = copy.deepcopy(model), _numbered(context, len(rounds) + 1)
        try:
            chosen = _chosen(bench, candidate, own, _next(ratio, step, asked))
        except InputError:
            step **= 0.5  # so small a model cannot be had
            continue
        found = _cut(bench, candidate, own, chosen)
        bars = _bars(context.allowance, viewed=bool(views), bonus=ratio <= asked)
        drops = _drops(own, candidate, found["training"], views, before)
        if _over(drops, bars) > 0 and max(drops.values()) <= HOPELESS * context.allowance:
            own = _longer(own)
            found["longer"] = asdict(_recover(bench, candidate, own))
            drops = _drops(own, candidate, found["longer"], views, before)
        holds = _over(drops, bars) <= 0
        rounds.append({**found, "drop": max(drops.values()), "drops": drops, "holds": holds})
        lost = " and ".join(f"{-drop * 100:+.1f} on {name}" for name, drop in drops.items())
        came = f"{found['latency']['ratio']:.3f} of the input's latency, {context.task.metrics[0]} in points {lost}"
        context.progress.say(f"prune: {came}: {'kept' if holds else 'undone'}")
        if holds:
            model, ratio = candidate, found["latency"]["ratio"]
        else:
            step **= 0.5
    return model, rounds


def _asked(bench: Bench) -> float:
    """Share of the input's latency, in the form that it is pruned for, at which the budget is met with a little to
    spare; 0 where the budget says nothing.
    """
    reference = bench.context.reference
    if reference is None:
        return 0.0
    original, whole = bench.beside(reference.model)
    most = bench.context.latency_limit(original)
    return 0.0 if most is None else most / whole * (1 - WITHIN)


def _next(ratio: float, step: float, asked: float) -> float:
    """The share to aim for: what the budget asks for once that is within a step, half the way there where it is within
    two, else the next step.
    """
    if not ratio * step**2 <= asked <= ratio * LEAST:
        return ratio * step
    return asked if ratio * step <= asked else math.sqrt(ratio * asked)


def _bars(allowance: float, *, viewed: bool, bonus: bool) -> dict[str, float]:
    """How far the metric may fall. What loses more than the allowance on the rows as they are is rolled back whole."""
    half = allowance * (1 - SPARED)
    return {ROWS: half if bonus else allowance, VIEWS: half} if viewed else {ROWS: half}


def _over(drops: Mapping[str, float], bars: Mapping[str, float]) -> float:
    """By how much the worst of some falls is over its bar."""
    return max(drop - bars[name] - ROUNDING for name, drop in drops.items())


def _drops(
    context: StageContext,
    model: nn.Module,
    training: Mapping[str, Any],
    views: StageContext | None,
    before: Mapping[str, float],
) -> dict[str, float]:
    """How far the deciding metric fell by a training, on the rows and on their views.

    On the rows it is what the training ended with, for the best of its evaluations is too good by chance. On views it
    varies less, but a student that learned from changed rows has an advantage there over an original that did not.
    """
    after = {ROWS: float(training["history"][-1]["metrics"][context.task.metrics[0]])}
    if views:
        after[VIEWS] = float(remember(context.work / JUDGED, lambda: score(model, views)))
    return {name: fall(before[name], value) for name, value in after.items()}


def _before(bench: Bench, model: nn.Module, views: StageContext | None) -> dict[str, float]:
    """The deciding metric of what falls are counted against."""
    context, reference = bench.context, bench.context.reference
    own = reference and reference.origin
    evaluated = context.evaluate(reference.model)[context.task.metrics[0]] if reference else score(model, context)
    if not views:
        return {ROWS: evaluated}
    original = checkpoint.load(own.path, context.task) if own else model
    return {ROWS: evaluated, VIEWS: score(original, views)}


def _chosen(bench: Bench, model: nn.Module, context: StageContext, target: float) -> dict[str, Any]:
    """What to cut for a share of the stage's input; JSON values.

    Raises:
        InputError: It cannot be reached.
    """
    found: dict[str, Any] = remember(context.work / PLAN, Decision(bench.spec, model, bench, context, target).make)
    return found


def _cut(bench: Bench, model: nn.Module, context: StageContext, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Cuts a model in place and trains it; what was chosen with what came of it, JSON values."""
    plan = PrunePlan.from_json(chosen["plan"])
    apply_plan(model, plan, bench.sample, context.task.logits, lambda: _rows(context))
    context.progress.say(plan.table())
    recalibrate(model, map(inputs_of, calibration(context, "prune: batch normalisation", SCORED)))
    report = _recover(bench, model, context)
    return {**chosen, "training": asdict(report)}


def _rows(context: StageContext) -> list[Mapping[str, torch.Tensor]]:
    return [inputs_of(batch) for batch in calibration(context, "prune: layers", SILENCED)]


def _of_round(context: StageContext, number: int, rounds: int) -> StageContext:
    """The surroundings of one of several rounds, which share the epochs."""
    if rounds == 1:
        return context
    shorter = context.training.model_copy(update={"epochs": context.training.epochs / rounds})
    return replace(_numbered(context, number), training=shorter)


def _longer(context: StageContext) -> StageContext:
    """The surroundings of a round's second training."""
    training = context.training.model_copy(update={"epochs": context.training.epochs * LONGER})
    work = context.work / "longer"
    work.mkdir(exist_ok=True)
    return replace(context, training=training, work=work)


def _numbered(context: StageContext, number: int) -> StageContext:
    work = context.work / f"round-{number}"
    work.mkdir(parents=True, exist_ok=True)
    return replace(context, work=work)


def _summary(rounds: Sequence[Mapping[str, Any]]) -> str:
    first, last = (PrunePlan.from_json(each["plan"]) for each in (rounds[0], rounds[-1]))
    found = last.since(first).summary()
    return found + (f", latency {rounds[-1]['latency']['ratio']:.2f} of its input's" if "latency" in rounds[-1] else "")


def _sample(context: StageContext) -> dict[str, torch.Tensor]:
    """Two rows as the model's inputs, to trace it with."""
    batch = context.task.collate(context.train[:2], context.processor)
    return inputs_of({name: torch.as_tensor(value) for name, value in batch.items()})


def _recover(bench: Bench, model: nn.Module, context: StageContext) -> FitReport:
    spec, trainee, objective = bench.spec, model, None
    if context.teacher is not None:
        teacher = load_teacher(context, bench.contract, spec.stage)
        trainee, objective = taught(spec, model, teacher, context, label=spec.stage, whole=bench.context)
    return train(trainee, context, label="prune: recovery", objective=objective, work=context.work / "recovery")
