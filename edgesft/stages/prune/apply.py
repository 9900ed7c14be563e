"""Carries a plan out on a model: parameters are cut for good, through the dependency graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from edgesft.errors import InputError, StageError
from edgesft.stages.prune.bypass import bypass
from edgesft.stages.prune.discover import HEAD_COUNTS, find_widths, head_count, trace
from edgesft.stages.prune.layout import Width
from edgesft.stages.prune.plan import Cut, PrunePlan
from edgesft.stages.prune.rank import reduce
from edgesft.train.environment import out_of_memory
from edgesft.train.placeholders import Absent, Nothing, fold, take_out


def apply_plan(
    model: nn.Module,
    plan: PrunePlan,
    inputs: Mapping[str, torch.Tensor],
    logits: Callable[[Any], torch.Tensor],
    rows: Callable[[], Sequence[Mapping[str, torch.Tensor]]] = tuple,
) -> None:
    """Cuts the model in place; the same plan on the same model gives the same result each time.

    Args:
        model: A model with the widths that the plan was made for.
        plan: What every width keeps.
        inputs: A small batch of the model's inputs by name.
        logits: Takes the tensor that counts out of the model's output.
        rows: Gives batches of its inputs, by which a layer learns to do without the one before it, and a linear with a
            lower rank; without any its weights are at random. Asked where there is such a layer.

    Raises:
        InputError: The plan was made for another model.
        StageError: The cut model has other sizes than planned, or does not run.
    """
    traced = trace(model, inputs, logits)
    ranks = any(cut.kind == "rank" for cut in plan.cuts)
    widths = {width.name: width for width in find_widths(model, traced, ranks=ranks).widths}
    passed = [widths[cut.width] for cut in plan.cuts if not cut.kept and _matching(cut, widths).bypass]
    if passed:
        bypass(model, passed, rows())
        traced = trace(model, inputs, logits)
    graph = traced.graph
    gone: list[tuple[Cut, Width]] = []
    for cut in plan.cuts:
        width = _matching(cut, widths)
        if len(cut.kept) == cut.before or width in passed or width.linear:
            continue
        if not cut.kept:
            gone.append((cut, width))
            continue
        module = model.get_submodule(cut.width)
        group = graph.get_pruning_group(
            module, graph.get_pruner_of_module(module).prune_out_channels, cut.removed_channels()
        )
        if not graph.check_pruning_group(group):
            raise StageError(f"prune: '{cut.width}' would lose all of its {cut.before} {cut.kind} units")
        group.prune()
        if width.attention is not None:
            _set_heads(model.get_submodule(width.attention), len(cut.kept), cut.channels)
    # The graph knows nothing of modules that were replaced.
    for cut, width in gone:
        _drop(model, cut, width)
    linears = {cut: widths[cut.width].linear for cut in plan.cuts if len(cut.kept) < cut.before}
    if reduced := {linear: len(cut.kept) for cut, linear in linears.items() if linear}:
        reduce(model, reduced, rows())
    _check(model, plan, inputs, logits)


def _drop(model: nn.Module, cut: Cut, width: Width) -> None:
    """Takes a branch out; what of it has no parameters stays and computes nothing of use."""
    for writer in width.writers:
        take_out(model, writer, cut.channels)
    there = (name for name in width.absorbers if not isinstance(model.get_submodule(name), Absent | Nothing))
    into = next(there, None)
    for reader in width.consumers:
        fold(model, reader.name, width.normalisation, into)
    if width.attention is not None:
        _set_heads(model.get_submodule(width.attention), 1, cut.channels)


def _matching(cut: Cut, widths: Mapping[str, Width]) -> Width:
    width = widths.get(cut.width)
    if width is None or (width.kind, width.size, width.channels) != (cut.kind, cut.before, cut.channels):
        got = "no such width" if width is None else f"{width.kind} {width.size}×{width.channels}"
        raise InputError(
            f"plan: '{cut.width}' must be {cut.kind} {cut.before}×{cut.channels} in the model. Got: {got}",
            "use a plan with the model that it was made for",
        )
    return width


def _set_heads(attention: nn.Module, heads: int, channels: int) -> None:
    """The attention's own idea of its sizes; the head size stays."""
    known = head_count(attention)
    for name in HEAD_COUNTS:
        if known and getattr(attention, name, None) == known[1]:
            setattr(attention, name, heads)
    if hasattr(attention, "all_head_size"):
        attention.all_head_size = heads * channels


def _check(
    model: nn.Module, plan: PrunePlan, inputs: Mapping[str, torch.Tensor], logits: Callable[[Any], torch.Tensor]
) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    if count != plan.parameters_after:
        raise StageError(f"prune: the cut model must have {plan.parameters_after} parameters. Got: {count}")
    try:
        with torch.no_grad():
            finite = bool(logits(model(**inputs)).isfinite().all())
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise StageError(f"prune: the cut model does not run: {error}") from error
    if not finite:
        raise StageError("prune: the cut model's outputs are not finite")
