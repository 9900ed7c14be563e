"""`latency: auto`: cuts round by round, as far as the metric holds."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import numpy as np
from torch import nn

from edgesft.budget.drop import drops as bootstrap
from edgesft.budget.metric import scale
from edgesft.errors import InputError
from edgesft.stages import invariance
from edgesft.stages.context import StageContext
from edgesft.stages.prune.aim import Aim, met
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.round import choose, cut, numbered, recover
from edgesft.stages.prune.search import WITHIN
from edgesft.stages.quantize.choose import ROUNDING
from edgesft.stages.training import answered, score
from edgesft.store.store import remember
from edgesft.train import checkpoint

BEFORE, JUDGED, ASKED, WORST = "before.json", "judged.json", "asked.json", "worst.json"
"""In the work folder."""

ROWS, VIEWS = "rows", "views"
"""What falls of the metric are counted on: validation rows, and those several times, changed (`invariance.views`)."""

SPARED = 0.5
"""Share of the allowance that such a stage leaves to what follows it: int8 gains more than the last cut would."""

LONGER, HOPELESS = 2.0, 4.0
"""What falls further than a bonus may is trained again, for so many times the epochs, but where it fell further than so
many times the allowance: a student that has won it back may be cut beyond the budget."""

SURE = 0.84
"""Probability with which a cut beyond the budget must have left the metric within the allowance: one standard error
(Breiman et al. 1984, section 3.4.3). The rows are asked again and again, and of what is tried often some holds by
chance."""

BONUS = 4
"""What the budget does not ask for is trained as often as what it did, or so often where that was less, which lets a
step fail, be trained again, and one that goes half as far be tried: who wants more asks for more."""

MOST = 20
"""Tries at most: what is left would be a thousandth."""

VOTES = 3
"""How often what the budget asks for is measured before the first try: of so many, one that was disturbed decides
nothing. Each further try adds one."""


def as_far_as_it_holds(bench: Bench, model: nn.Module) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Rounds until the deciding metric falls by more than its part of the allowance; the last model that held, and all
    rounds.

    What the budget asks for is aimed at first. Past that, speed is a bonus: it may cost less, and takes no longer.
    """
    context, views = bench.context, invariance.views(bench.context)
    before = remember(context.work / BEFORE, lambda: _before(bench, model, views))
    cheap = _bars(context.allowance, viewed=bool(views), bonus=True)
    aim, rounds, votes, spent, needed = Aim(), list[dict[str, Any]](), list[float](), False, math.inf
    for number in range(1, MOST + 1):
        candidate, own = copy.deepcopy(model), numbered(context, number)
        votes += _votes(bench, own, 1 if votes else VOTES)
        asked = median(votes)
        target, enough = aim.target(asked), met(aim.ratio, asked)
        needed = min(needed, _trained(rounds)) if enough else math.inf
        if target is None or (enough and (spent or _trained(rounds) - needed >= max(needed, BONUS))):
            break
        try:
            chosen = choose(bench, candidate, own, target)
        except InputError:
            aim = aim.lost(target)  # so small a model cannot be had
            continue
        found = cut(bench, candidate, own, chosen)
        bars = cheap if enough else _bars(context.allowance, viewed=bool(views), bonus=False)
        drops = _drops(own, candidate, found["training"], views, before)
        if not _within(drops, cheap) and max(drops.values()) <= HOPELESS * context.allowance:
            own = _longer(own)
            found["longer"] = asdict(recover(bench, candidate, own))
            drops = _drops(own, candidate, found["longer"], views, before)
        holds = _within(drops, bars)
        if holds and enough:
            found["worst"] = _worst(own, _original(own, bench.model), candidate)
            holds = found["worst"] is not None and found["worst"] <= context.allowance + ROUNDING
        rounds.append({**found, "drop": max(drops.values()), "drops": drops, "holds": holds})
        context.progress.say(f"prune: {_came(found, drops, context.task.metrics[0])}: {'kept' if holds else 'undone'}")
        if holds:
            model, aim = candidate, aim.held(found["latency"]["ratio"])
            # What has lost more already than a bonus may cost would have to win it back by being cut further.
            spent = not _within(drops, cheap)
        else:
            aim = aim.lost(target)
    return model, rounds


def _trained(rounds: Sequence[Mapping[str, Any]]) -> float:
    """Trainings of as many epochs as the stage has, in all."""
    return sum(1 + LONGER if "longer" in each else 1 for each in rounds)


def _votes(bench: Bench, context: StageContext, count: int) -> list[float]:
    """What the budget asks for, measured so often."""
    found: list[float] = remember(context.work / ASKED, lambda: [_asked(bench) for _ in range(count)])
    return found


def _asked(bench: Bench) -> float:
    """Share of the input's latency, in the form that it is pruned for, at which the budget is met with a little to
    spare; 0 where the budget says nothing.
    """
    reference, limit = bench.context.reference, bench.context.latency_limit
    if reference is None or limit(1.0) is None:
        return 0.0
    original, whole = bench.beside(reference.model)
    return (limit(original) or 0.0) / whole * (1 - WITHIN)


def _bars(allowance: float, *, viewed: bool, bonus: bool) -> dict[str, float]:
    """How far the metric may fall. What loses more than the allowance on the rows as they are is rolled back whole."""
    half = allowance * (1 - SPARED)
    return {ROWS: half if bonus else allowance, VIEWS: half} if viewed else {ROWS: half}


def _within(drops: Mapping[str, float], bars: Mapping[str, float]) -> bool:
    """Whether no fall is over its bar."""
    return all(drop <= bars[name] + ROUNDING for name, drop in drops.items())


def _came(found: Mapping[str, Any], drops: Mapping[str, float], metric: str) -> str:
    lost = " and ".join(f"{scale(metric).change(-drop)} on {name}" for name, drop in drops.items())
    if found.get("worst") is not None:
        lost += f", at worst {scale(metric).change(-found['worst'])}"
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
    What is no number, before or after, fell without end.
    """
    after = {ROWS: float(training["history"][-1]["metrics"][context.task.metrics[0]])}
    if views:
        after[VIEWS] = float(remember(context.work / JUDGED, lambda: score(model, views)))
    falls = {name: before[name] - value for name, value in after.items()}
    return {name: drop if math.isfinite(drop) else math.inf for name, drop in falls.items()}


def _before(bench: Bench, model: nn.Module, views: StageContext | None) -> dict[str, float]:
    """The deciding metric of what falls are counted against."""
    context, reference = bench.context, bench.context.reference
    evaluated = context.evaluate(reference.model)[context.task.metrics[0]] if reference else score(model, context)
    return {ROWS: evaluated, VIEWS: score(_original(context, model), views)} if views else {ROWS: evaluated}


def _original(context: StageContext, model: nn.Module) -> nn.Module:
    """The torch model that falls are counted against; where there is none, the stage's input."""
    own = context.reference and context.reference.origin
    return checkpoint.load(own.path, context.task) if own else model


def _worst(context: StageContext, original: nn.Module, model: nn.Module) -> float | None:
    """How far the deciding metric may have fallen: the upper bound by a paired bootstrap over the validation rows; None
    where they are too few for any.
    """
    task, metric = context.task, context.task.metrics[0]
    references = task.references(context.validation)

    def scorer(answers: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return {metric: task.score(answers, references[rows], context.contract)[metric]}

    def found() -> float | None:
        return bootstrap(scorer, answered(original, context), answered(model, context), SURE)[metric].upper

    return remember(context.work / WORST, found)


def _longer(context: StageContext) -> StageContext:
    """The surroundings of a round's second training."""
    training = context.training.model_copy(update={"epochs": context.training.epochs * LONGER})
    work = context.work / "longer"
    work.mkdir(exist_ok=True)
    return replace(context, training=training, work=work)
