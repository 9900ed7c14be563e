"""The prune stage: score, plan, cut, recover."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from edgesft.errors import InputError
from edgesft.spec.stages import PruneSpec
from edgesft.stages import invariance
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.prune.auto import as_far_as_it_holds
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.plan import PrunePlan
from edgesft.stages.prune.round import choose, cut, numbered
from edgesft.stages.prune.select import select
from edgesft.stages.prune.trial import that_bear_it
from edgesft.stages.prune.vocabulary import trim_vocabulary
from edgesft.store.store import remember
from edgesft.train import checkpoint
from edgesft.train.objective import inputs_of

WHOLE = "whole.json"
"""In the work folder."""


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
    multiple = spec.channel_multiple or context.profile.channel_multiple
    layout = that_bear_it(model, select(found, spec.targets, spec.exclude), sample, context.task.logits, multiple)
    if layout.spared:
        context.progress.say(f"prune: {layout.spared}")
    bench = Bench(spec, copy.deepcopy(model), sample, layout, contract, context)
    if spec.parameters is None:
        bench = bench.precise()
    if spec.latency == "auto":
        model, rounds = as_far_as_it_holds(bench, model)
    else:
        target = _target(bench)
        rounds = []
        for number in range(1, spec.rounds + 1):
            own = _of_round(context, number, spec.rounds)
            chosen = choose(bench, model, own, target ** (number / spec.rounds))
            rounds.append(cut(bench, model, own, chosen))
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


def _of_round(context: StageContext, number: int, rounds: int) -> StageContext:
    """The surroundings of one of several rounds, which share the epochs."""
    if rounds == 1:
        return context
    shorter = context.training.model_copy(update={"epochs": context.training.epochs / rounds})
    return replace(numbered(context, number), training=shorter)


def _summary(rounds: Sequence[Mapping[str, Any]]) -> str:
    first, last = (PrunePlan.from_json(each["plan"]) for each in (rounds[0], rounds[-1]))
    found = last.since(first).summary()
    return found + (f", latency {rounds[-1]['latency']['ratio']:.2f} of its input's" if "latency" in rounds[-1] else "")


def _sample(context: StageContext) -> dict[str, torch.Tensor]:
    """Two rows as the model's inputs, to trace it with."""
    batch = context.task.collate(context.train[:2], context.processor)
    return inputs_of({name: torch.as_tensor(value) for name, value in batch.items()})
