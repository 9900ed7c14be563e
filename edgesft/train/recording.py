"""Inputs and outputs of modules, recorded while a model runs, and which of them distillation compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.train.factors import Factors

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)

PROJECTIONS = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"), ("q_proj", "k_proj", "v_proj"))
"""Names of the query, key and value linears in attention modules of transformers."""


Take = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""`take(module, what it read, what it answered)` → what is recorded."""


@contextmanager
def recording(model: nn.Module, names: Sequence[str], take: Take) -> Iterator[list[torch.Tensor]]:
    """A context with a list, which on leaving holds what `take` gave for each module, in the order of the names."""
    found: dict[str, torch.Tensor] = {}

    def hook_of(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            found[name] = take(module, inputs[0], output)

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(hook_of(name)) for name in names]
    seen: list[torch.Tensor] = []
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        seen.extend(found[name] for name in names if name in found)


def answered(module: nn.Module, read: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """The output of a module."""
    return output


def features(module: nn.Module, read: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """The input of a module, shape [rows, positions, features]."""
    if isinstance(module, CONVOLUTIONS):
        return read.flatten(2).transpose(1, 2)
    return read.reshape(len(read), -1, read.shape[-1])


def last_attention(model: nn.Module) -> tuple[str, ...]:
    """Names of the query, key and value linears of a model's last attention.

    Raises:
        InputError: It has no attention with known names.
    """
    found: tuple[str, ...] = ()
    for name, module in model.named_modules():
        children = dict(module.named_children())
        for names in PROJECTIONS:
            if all(isinstance(children.get(each), nn.Linear | Factors) for each in names):
                found = tuple(f"{name}.{each}" for each in names)
    if not found:
        known = "; ".join(", ".join(names) for names in PROJECTIONS)
        raise InputError(
            f"relation_weight: needs attention whose linears are called {known}, got none in {type(model).__name__}",
            "relation_weight: 0",
        )
    return found


def feature_places(model: nn.Module) -> tuple[str, ...]:
    """Modules of a convolutional net whose inputs are its features: each convolution that reduces the resolution, and
    the last linear.
    """
    convolutions = {name: module for name, module in model.named_modules() if isinstance(module, CONVOLUTIONS)}
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    strided = [name for name, module in convolutions.items() if max(module.stride) > 1]
    return (*(name for name in strided if name != next(iter(convolutions))), *linears[-1:]) if convolutions else ()


def common_places(student: nn.Module, teacher: nn.Module) -> tuple[str, ...]:
    """The feature places that student and teacher have in common; empty for nets without convolutions, and where there
    is only one, as in a transformer whose convolution makes patches of pictures: it has hidden states.
    """
    theirs = set(feature_places(teacher))
    found = tuple(name for name in feature_places(student) if name in theirs)
    return found if len(found) > 1 else ()
