"""`latency: auto`: cuts round by round, as far as the metric holds."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from torch import nn

from edgesft.budget.metric import fall, scale
from edgesft.errors import InputError
from edgesft.stages import invariance
from edgesft.stages.context import StageContext
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.round import choose, cut, numbered, recover
from edgesft.stages.prune.search import WITHIN
from edgesft.stages.quantize.choose import ROUNDING
from edgesft.stages.training import score
from edgesft.store.store import remember
from edgesft.train import checkpoint

BEFORE, JUDGED, ASKED = "whole.json", "judged.json", "asked.json"
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


def as_far_as_it_holds(bench: Bench, model: nn.Module) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Rounds until the deciding metric falls by more than its part of the allowance; the last model that held, and all
    rounds.

    What the budget asks for is aimed at first. Past that, speed is a bonus, and may cost less.
    """
    context, views = bench.context, invariance.views(bench.context)
    before = remember(context.work / BEFORE, lambda: _before(bench, model, views))
    rounds: list[dict[str, Any]] = []
    seen: list[float] = []  # measured anew for each round: what disturbs the machine once does not mislead them all
    ratio, step = 1.0, STEP
    while step <= LEAST and len(rounds) < MOST:
        candidate, own = copy.deepcopy(model), numbered(context, len(rounds) + 1)
        seen.append(remember(own.work / ASKED, lambda: _asked(bench)))
        asked = median(seen)
        try:
            chosen = choose(bench, candidate, own, _next(ratio, step, asked))
        except InputError:
            step **= 0.5  # so small a model cannot be had
            continue
        found = cut(bench, candidate, own, chosen)
        bars = _bars(context.allowance, viewed=bool(views), bonus=_met(ratio, asked))
        drops = _drops(own, candidate, found["training"], views, before)
        if _over(drops, bars) > 0 and max(drops.values()) <= HOPELESS * context.allowance:
            own = _longer(own)
            found["longer"] = asdict(recover(bench, candidate, own))
            drops = _drops(own, candidate, found["longer"], views, before)
        holds = _over(drops, bars) <= 0
        rounds.append({**found, "drop": max(drops.values()), "drops": drops, "holds": holds})
        context.progress.say(f"prune: {_came(found, drops, context.task.metrics[0])}: {'kept' if holds else 'undone'}")
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
    if _met(ratio, asked) or asked < ratio * step**2:
        return ratio * step
    return asked if ratio * step <= asked else math.sqrt(ratio * asked)


def _met(ratio: float, asked: float) -> bool:
    """Whether so little is as much as the budget asks for, with what was to spare or without."""
    return asked > 0 and ratio * (1 - WITHIN) <= asked


def _bars(allowance: float, *, viewed: bool, bonus: bool) -> dict[str, float]:
    """How far the metric may fall. What loses more than the allowance on the rows as they are is rolled back whole."""
    half = allowance * (1 - SPARED)
    return {ROWS: half if bonus else allowance, VIEWS: half} if viewed else {ROWS: half}


def _over(drops: Mapping[str, float], bars: Mapping[str, float]) -> float:
    """By how much the worst of some falls is over its bar."""
    return max(drop - bars[name] - ROUNDING for name, drop in drops.items())


def _came(found: Mapping[str, Any], drops: Mapping[str, float], metric: str) -> str:
    lost = " and ".join(f"{scale(metric).change(-drop)} on {name}" for name, drop in drops.items())
    return f"{found['latency']['ratio']:.3f} of the input's latency, {metric} {lost}"


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


def _longer(context: StageContext) -> StageContext:
    """The surroundings of a round's second training."""
    training = context.training.model_copy(update={"epochs": context.training.epochs * LONGER})
    work = context.work / "longer"
    work.mkdir(exist_ok=True)
    return replace(context, training=training, work=work)
