"""Whether a model runs once it is cut: its code may hold a number of units, or read what a layer no longer has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.errors import InputError, StageError
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.layout import Layout, Width
from edgesft.stages.prune.plan import make_plan
from edgesft.stages.prune.sizes import allowed
from edgesft.train.environment import out_of_memory

FAILURES = (StageError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
"""What a model raises that does not run."""


def _none(_: Width) -> int:
    return 0


def that_bear_it(
    model: nn.Module,
    layout: Layout,
    inputs: Mapping[str, torch.Tensor],
    logits: Callable[[Any], torch.Tensor],
    multiple: int,
) -> Layout:
    """The widths that a model can be cut in: it is tried with half of each, and without those that may go as a whole.

    Args:
        model: Stays as it is.
        layout: Its widths.
        inputs: A small batch of its inputs by name.
        logits: Takes the tensor that counts out of the model's output.
        multiple: Channels that sizes are multiples of.

    Returns:
        The layout without the widths that must stay, which are left alone; others may shrink, but not go.

    Raises:
        InputError: Nothing is left.
    """

    def runs(widths: Sequence[Width], size: Callable[[Width], int] = _none) -> bool:
        scores = {width.name: np.zeros(width.size) for width in widths}
        try:
            plan = make_plan(layout.only(widths), {width.name: size(width) for width in widths}, scores)
            apply_plan(copy.deepcopy(model), plan, inputs, logits)
        except FAILURES as error:
            if out_of_memory(error):
                raise  # That says nothing about the width.
            return False
        return True

    def half(width: Width) -> int:
        return min(filter(None, allowed(width, multiple, 1.0)), key=lambda size: abs(2 * size - width.size))

    def bearing(widths: Sequence[Width], size: Callable[[Width], int] = _none) -> list[Width]:
        return list(widths) if runs(widths, size) else [width for width in widths if runs([width], size)]

    shrinking = bearing(layout.widths, half)
    going = bearing([width for width in shrinking if width.may_go])
    found = [width if width in going else replace(width, branch=False, bypass=False) for width in shrinking]
    stiff = tuple(width.linear or width.name for width in layout.widths if width not in shrinking)
    left = replace(layout.only(found), left_alone=(*layout.left_alone, *stiff))
    if not found:
        raise InputError(f"'model' must run with fewer units somewhere. Got {left.spared}", "leave out prune")
    return left
