"""Bias absorption: an earlier layer's bias takes up the constant that a fully pruned convolutional branch adds.

Adding a constant would cost a pass over the stream, and in int8 a rounding of it: most of what the branch took. There
may be activations in between: a positive constant that is added before a ReLU instead of after it is lost where the
stream is negative; training makes up for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch_pruning as tp
from torch import nn

from edgesft.stages.prune.layout import Width

ADDED = "Add"
"""In the name of nodes that add, and of no other nodes without parameters."""


def with_absorbers(model: nn.Module, graph: tp.DependencyGraph, widths: Sequence[Width]) -> list[Width]:
    """The same widths; those of convolutional branches with the modules that may absorb their constants."""
    ends = {_node(model, graph, _end(width)): width for width in widths if width.branch and width.kind == "channels"}
    names = {module: name for name, module in model.named_modules()}
    found = {width.name: tuple(_before(model, graph, end, ends, names)) for end, width in ends.items()}
    # Without one that stays, the constant may have nowhere to go.
    return [replace(width, absorbers=found.get(width.name) or ()) for width in widths]


def _before(
    model: nn.Module, graph: Any, end: Any, ends: Mapping[Any, Width], names: Mapping[nn.Module, str]
) -> list[str]:
    """Modules that may absorb a branch's constant, going back along the stream; empty where no module there stays."""
    found: list[str] = []
    while True:
        width = ends[end]
        (added,) = end.outputs if len(end.outputs) == 1 else (None,)
        branch = {_node(model, graph, name) for name in width.writers}
        step, previous = _back(added, end, branch)
        if previous is None:
            return []
        if _has_bias(previous.module):
            return [*found, names[previous.module]]
        if ADDED not in previous.name or set(previous.outputs) - {step} - branch:
            return []
        passed = [node for node in previous.inputs if node in ends]
        if not passed:
            stays = [node for node in previous.inputs if _has_bias(node.module) and len(node.outputs) == 1]
            return [*found, names[stays[0].module]] if stays else []
        end = passed[0]
        found.append(names[end.module])


def _back(added: Any, end: Any, branch: set[Any]) -> tuple[Any, Any]:
    """The first node on the path to a sum, and what precedes it: a module, or another sum of two.

    Only the sum and the branch may read the values on the path; else None.
    """
    step, previous = added, None
    if added is not None and len(added.inputs) == 2:
        previous = next(node for node in added.inputs if node is not end)
        while set(previous.outputs) <= {step, *branch} and _single(previous):
            step, previous = previous, previous.inputs[0]
        if set(previous.outputs) - {step, *branch}:
            previous = None
    return step, previous


def _single(node: Any) -> bool:
    return node.type == tp.ops.OPTYPE.ELEMENTWISE and len(node.inputs) == 1


def _has_bias(module: Any) -> bool:
    """Whether a module adds a value to each channel."""
    convolved = isinstance(module, nn.Conv1d | nn.Conv2d | nn.modules.batchnorm._BatchNorm)
    return convolved and module.bias is not None


def _end(width: Width) -> str:
    return width.normalisation or width.consumers[0].name


def _node(model: nn.Module, graph: Any, name: str) -> Any:
    return graph.module2node.get(model.get_submodule(name))
