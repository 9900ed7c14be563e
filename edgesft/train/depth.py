"""Which parameters of a model lie how deep: what layer-wise rates and unfreezing go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from typing import Literal

import torch
from torch import nn

from edgesft.errors import InputError

Unfreeze = Literal["all", "head", "gradual", "lora"]

SETTLED = 0.5
"""Share of the steps after which gradual unfreezing has thawed everything: the other half trains the whole model."""

SECOND = 0.4
"""A list with less than this share of the largest one's parameters is no stack of layers of its own: an encoder's
layers have two thirds to three quarters of what a decoder's have, which also look at the encoder."""


def depths(model: nn.Module) -> dict[str, int]:
    """Name of each parameter → its depth: 0 before the layers, 1 for the first of them, then on; the highest behind.

    The layers are the `nn.ModuleList` with the most parameters, the outermost of several. Where an encoder and a
    decoder have one each, those of the decoder lie behind those of the encoder, and what is between them is as deep as
    the encoder's last. What comes before them in the order of the parameters are the embeddings, what comes after them
    pooler and head.

    Raises:
        InputError: The model has no such list.
    """
    stacks = _stacks(model)
    if not stacks:
        raise InputError(
            f"layer_decay and unfreeze: must have a model with a list of layers, got {type(model).__name__}",
            "leave them out",
        )
    first = dict(zip(stacks, accumulate(map(len, stacks.values()), initial=1), strict=False))
    highest = 1 + sum(map(len, stacks.values()))
    found, reached, behind = dict[str, int](), 0, set[str]()
    for name, _ in model.named_parameters():
        place = next((place for place in stacks if name.startswith(f"{place}.")), None)
        if place is not None:
            reached = first[place] + int(name.removeprefix(f"{place}.").partition(".")[0])
            behind.add(place)
        elif len(behind) == len(stacks):
            reached = highest
        found[name] = reached
    return found


def _stacks(model: nn.Module) -> dict[str, nn.ModuleList]:
    """Place of each list of layers → the list, in the order of the parameters."""
    lists = {name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    sizes = {name: sum(map(torch.numel, module.parameters())) for name, module in lists.items()}
    outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    largest = max(sizes.values(), default=0)
    return {name: lists[name] for name in outer if largest and sizes[name] >= SECOND * largest}


def rates(model: nn.Module, decay: float) -> dict[str, float]:
    """Share of the learning rate that each parameter trains with: each layer `decay` of the one behind it.

    Howard and Ruder 2018, arXiv 1801.06146, section 3.2; decay 1 is the same rate for all.
    """
    if decay == 1:
        return {name: 1.0 for name, _ in model.named_parameters()}
    found = depths(model)
    highest = max(found.values())
    return {name: decay ** (highest - depth) for name, depth in found.items()}


def lowest(unfreeze: Unfreeze, highest: int, step: int, steps: int) -> int:
    """The lowest depth that trains at a step, counted from 0.

    `head` trains what lies behind the layers; `gradual` one layer more at a time, until after `SETTLED` of the steps
    all train (Howard and Ruder 2018, section 3.3, an epoch a layer there).
    """
    if unfreeze == "all":
        return 0
    if unfreeze == "head":
        return highest
    thawed = int(step / max(1.0, SETTLED * steps) * highest)
    return max(0, highest - thawed)


def freeze(model: nn.Module, known: Mapping[str, int], least: int) -> None:
    """Lets train what lies at `least` or deeper, and nothing else."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(known[name] >= least)


@contextmanager
def thawed(model: nn.Module) -> Iterator[None]:
    """Afterwards every parameter may be trained as before."""
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    try:
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(before[name])
