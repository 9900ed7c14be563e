"""Who says the constant of a convolutional branch of which nothing is left: a layer before it, by its bias.

A sum with a constant costs a pass over the stream, in int8 a rounding of it as well, which is most of what the branch
itself took. What lies between may be activations: a constant above zero that comes before a ReLU instead of after it is
lost where the stream was below; training mends that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch_pruning as tp
from torch import nn

from edgesft.stages.prune.layout import Width

ADDED = "Add"
"""In the name of a node that adds, and of nothing else that has no parameters."""


def with_sayers(model: nn.Module, graph: tp.DependencyGraph, widths: Sequence[Width]) -> list[Width]:
    """The same widths; convolutional branches know who may say their constants."""
    ends = {_node(model, graph, _end(width)): width for width in widths if width.branch and width.kind == "channels"}
    names = {module: name for name, module in model.named_modules()}
    found = {width.name: tuple(_before(model, graph, end, ends, names)) for end, width in ends.items()}
    # Without one that stays, the constant may have nowhere to go.
    return [replace(width, sayers=found.get(width.name) or ()) for width in widths]


def _before(
    model: nn.Module, graph: Any, end: Any, ends: Mapping[Any, Width], names: Mapping[nn.Module, str]
) -> list[str]:
    """From the end of a branch back along the stream; empty where that does not come to a module that stays."""
    found: list[str] = []
    while True:
        width = ends[end]
        (added,) = end.outputs if len(end.outputs) == 1 else (None,)
        branch = {_node(model, graph, name) for name in width.writers}
        step, previous = _back(added, end, branch)
        if previous is None:
            return []
        if _says(previous.module):
            return [*found, names[previous.module]]
        if ADDED not in previous.name or set(previous.outputs) - {step} - branch:
            return []
        passed = [node for node in previous.inputs if node in ends]
        if not passed:
            stays = [node for node in previous.inputs if _says(node.module) and len(node.outputs) == 1]
            return [*found, names[stays[0].module]] if stays else []
        end = passed[0]
        found.append(names[end.module])


def _back(added: Any, end: Any, branch: set[Any]) -> tuple[Any, Any]:
    """The last node of the way back from a sum, and what comes before it: a module, or another sum of two.

    Nothing but the sum and the branch reads what lies there; else None.
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


def _says(module: Any) -> bool:
    """Whether a module adds a value to each channel."""
    convolved = isinstance(module, nn.Conv1d | nn.Conv2d | nn.modules.batchnorm._BatchNorm)
    return convolved and module.bias is not None


def _end(width: Width) -> str:
    return width.normalisation or width.consumers[0].name


def _node(model: nn.Module, graph: Any, name: str) -> Any:
    return graph.module2node.get(model.get_submodule(name))
