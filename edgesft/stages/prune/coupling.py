"""Which parameters and modules must lose the same indices as one module's outputs, as torch-pruning's graph has it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from torch_pruning._helpers import _HybridIndex

from edgesft.stages.prune.graph import Graph
from edgesft.stages.prune.layout import Axis, Reader

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)

ORDERS = 8
"""A width that comes to one place in more orders of its indices is left alone: torch-pruning follows each of them, of
which every shuffle of channels doubles the number, and a rotation of positions makes new ones for ever."""

PRODUCTS = ("bmm", "scaleddotproduct")
"""In the names of operations that multiply activations with each other, as attention does."""

Place = tuple[Any, Any]
"""A node of the graph, and the function by which torch-pruning shortens it."""


@dataclass(frozen=True)
class Coupling:
    """All modules and parameters that share the indices of one module's outputs."""

    size: int
    writers: tuple[str, ...]
    readers: tuple[Reader, ...]
    axes: tuple[Axis, ...]
    linear: bool
    """Only linears write it and only linears read it."""
    convolved: bool
    """Convolutions write it, and besides them only linears, normalisations and depthwise convolutions have it."""
    attention: bool
    """What writes it is multiplied with other activations, as queries, keys and values are; it may consist of heads."""
    answer: bool
    """It is what the model answers."""
    free: bool
    """It is no output of the model, and wherever it lies, it lies there in one piece, channel by channel, and
    alone but where it is read."""


def coupled(graph: Graph, module: nn.Module, names: Mapping[nn.Module, str]) -> Coupling:
    """What shares the indices of the outputs of a module of a traced model; `names` are those of all its modules."""
    size = graph.get_out_channels(module)
    prune = graph.get_pruner_of_module(module).prune_out_channels
    root = (graph.module2node[module], prune)
    reached = _reached(root)
    answer = any(not node.outputs and graph.is_out_channel_pruning_fn(handler) for node, handler in reached)
    unsized = not graph.unsized.isdisjoint(node for node, _ in reached)
    made = any(node.module in names and _is_made(node.module) for node, _ in reached)
    if answer or unsized or made or not _ends(root, size):
        return _fixed(graph, reached, size, names, answer=answer)
    members = graph.get_pruning_group(module, prune, list(range(size)))
    first = {(each.target, each.handler): list(found) for each, found in graph.get_pruning_group(module, prune, [0])}
    writers: set[str] = set()
    readers: dict[str, list[Reader]] = {}
    linear = free = through = True
    convolved = False
    axes: list[Axis] = []
    for dependency, indices in members:
        target = dependency.target
        found = tuple(_axes(graph, dependency, names))
        if not found:
            continue
        reads = dense(target.module) and graph.is_in_channel_pruning_fn(dependency.handler)
        places = _places(list(indices), first.get((target, dependency.handler), []), size)
        free = free and bool(places) and (reads or places == ((0, 1),))
        free = free and all(_fits(length, places, size, reads=reads) for _, _, length in found)
        axes.extend(Axis(name, dim, *place) for name, dim, _ in found for place in places or ((),))
        linear = linear and isinstance(target.module, nn.Linear)
        through = through and (dense(target.module) or _passes(target.module))
        if target.module in names:
            convolved = convolved or (not reads and dense(target.module) and not isinstance(target.module, nn.Linear))
            name = names[target.module]
            if reads:
                readers[name] = [Reader(name, *place) for place in places or ((),)]
            else:
                writers.add(name)
    return Coupling(
        size,
        ordered(writers, names),
        tuple(reader for name in ordered(set(readers), names) for reader in readers[name]),
        tuple(sorted(axes)),
        linear,
        convolved and through,
        _attends(reached, names),
        answer=False,
        free=free,
    )


def _reached(root: Place) -> set[Place]:
    """Nodes and how each is cut where a module's outputs are, whichever indices that takes."""
    reached, queue = {root}, [root]
    while queue:
        node, handler = queue.pop()
        for dependency in node.dependencies:
            following = (dependency.target, dependency.handler)
            if dependency.is_triggered_by(handler) and following not in reached:
                reached.add(following)
                queue.append(following)
    return reached


def _is_made(module: nn.Module) -> bool:
    """Whether a module makes its weight of others at every call, as weight normalisation does, and cannot be cut."""
    return hasattr(module, "weight") and "weight" not in module._parameters


def _ends(root: Place, size: int) -> bool:
    """Whether a width comes to each place in few orders of its indices, so that torch-pruning follows all of them.

    It does not where it took the sizes wrong that something has which it does not know, such as a GRU.
    """
    orders: dict[Place, set[tuple[int, ...]]] = {}
    queue = [(root, [_HybridIndex(index, index) for index in range(size)])]
    while queue:
        (node, handler), indices = queue.pop()
        for dependency in node.dependencies:
            if not dependency.is_triggered_by(handler):
                continue
            found = indices
            try:
                for mapping in filter(None, dependency.index_mapping):
                    found = mapping(found)
            except IndexError:
                return False
            following, order = (dependency.target, dependency.handler), tuple(index.idx for index in found)
            known = orders.setdefault(following, set())
            if order and order not in known:
                known.add(order)
                queue.append((following, found))
            if len(known) > ORDERS:
                return False
    return True


def _attends(reached: set[Place], names: Mapping[nn.Module, str]) -> bool:
    operations = (node.name.lower() for node, _ in reached if node.module not in names and node.name)
    return any(product in operation for operation in operations for product in PRODUCTS)


def _fixed(
    graph: tp.DependencyGraph, reached: set[Place], size: int, names: Mapping[nn.Module, str], *, answer: bool
) -> Coupling:
    """The names in a coupling that cannot shrink: it is the model's output, or where its channels lie is not known."""
    named = [(names[node.module], _takes(graph, node, handler)) for node, handler in reached if node.module in names]
    reads, writes = ({name for name, takes in named if takes is kind} for kind in (True, False))
    readers = tuple(Reader(name) for name in ordered(reads, names))
    return Coupling(size, ordered(writes, names), readers, (), False, False, False, answer, False)


def _takes(graph: tp.DependencyGraph, node: Any, handler: Any) -> bool:
    """Whether each output of a node depends on the whole width."""
    return dense(node.module) and bool(graph.is_in_channel_pruning_fn(handler))


def _places(indices: list[int], first: list[int], size: int) -> tuple[tuple[int, int], ...]:
    """Where a width of a size lies: pairs of its first index and the indices per channel; empty where it is not
    contiguous.

    Args:
        indices: All of its indices.
        first: Those of its first channel: one after another where an image was flattened, far apart where it was
            concatenated with itself.
        size: Channels.
    """
    spread = len(first)
    if first and indices == list(range(first[0], first[0] + size * spread)) and first == indices[:spread]:
        return ((first[0], spread),)
    beside = [each + place for each in first for place in range(size)]
    return tuple((each, 1) for each in sorted(first)) if indices == beside else ()


def _fits(length: int, places: Sequence[tuple[int, int]], size: int, *, reads: bool) -> bool:
    """Whether an axis is as long as a width that lies in it has it; others may lie beside it in what is read."""
    ends = [first + size * spread for first, spread in places]
    return max(ends, default=0) <= length if reads else ends == [length]


def dense(module: nn.Module) -> bool:
    """Whether each output of a module reads every input: a linear, or a convolution without groups."""
    return isinstance(module, nn.Linear) or (isinstance(module, CONVOLUTIONS) and module.groups == 1)


def _passes(module: nn.Module | nn.Parameter) -> bool:
    """Whether a module works channel by channel: a normalisation, a depthwise convolution, or a bare vector."""
    if isinstance(module, CONVOLUTIONS):
        return module.groups == module.in_channels == module.out_channels
    if isinstance(module, nn.Parameter):
        return module.dim() == 1
    return isinstance(module, nn.modules.batchnorm._BatchNorm | nn.PReLU)


def ordered(chosen: set[str], names: Mapping[nn.Module, str]) -> tuple[str, ...]:
    """Chosen modules in the order of the model."""
    return tuple(name for name in names.values() if name in chosen)


def _axes(
    graph: tp.DependencyGraph, dependency: tp.dependency.Dependency, names: Mapping[nn.Module, str]
) -> Iterator[tuple[str, int, int]]:
    """The axes that a dependency's handler shortens and their lengths, found by letting it shorten a copy."""
    target = dependency.target
    if isinstance(target.module, nn.Parameter):
        dim = target.pruning_dim % target.module.dim()
        yield graph._param_to_name[target.module], dim, target.module.shape[dim]
    elif target.module in names:
        own = dict(target.module.named_parameters())
        hollow = {id(value): nn.Parameter(torch.empty_like(value, device="meta")) for value in own.values()}
        twin = copy.deepcopy(target.module, hollow)  # a copy whose parameters take no memory
        dependency.handler.__self__.pruning_dim = target.pruning_dim
        dependency.handler(twin, [0])
        for name, value in twin.named_parameters():
            for axis, (old, new) in enumerate(zip(own[name].shape, value.shape, strict=True)):
                if old != new:
                    yield f"{names[target.module]}.{name}", axis, old
