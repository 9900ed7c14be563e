"""Which widths of a model can shrink, found from torch-pruning's dependency graph and not from architecture names.

The graph is that of DepGraph (Fang et al. 2023, arXiv 2301.12900): it says which axes of which parameters must lose the
same indices together. A *block* is a width inside a residual branch: linears write it, one linear reads it and writes
back to the stream that the writers read. Blocks are attention heads where the writers' module counts heads, and
feed-forward units elsewhere. *Hidden* is the residual stream itself. *Channels* are what convolutions write, with the
normalisations and depthwise convolutions on the way; a sum couples those of all that it adds. Where a residual branch
goes through one such width only, it is a block, too. Where a convolution could as well read what the one before it
reads, that one may be left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from torch_pruning.dependency import index_mapping
from torch_pruning.pruner import function

from edgesft.errors import StageError
from edgesft.stages.prune.absorption import with_absorbers
from edgesft.stages.prune.bypass import can_bypass
from edgesft.stages.prune.layout import Axis, Layout, Reader, Width
from edgesft.stages.prune.rank import rank_widths

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)

PARTING = (index_mapping._SplitIndexMapping, index_mapping._SliceIndexMapping)
"""How torch-pruning goes from a width to a part of it, or back."""

SHUFFLED = 4
"""Parts that a width is cut into, and put together again, from which it is left alone: torch-pruning follows every way
through them, of which each shuffle of channels doubles the number."""

HEAD_COUNTS = ("num_attention_heads", "n_heads", "num_heads")
"""Names of the number of heads in attention modules of transformers."""


class _SortedLayerNorm(function.LayernormPruner):
    """torch-pruning 1.6.1 takes the kept channels in a set's order, which permutes them when many go."""

    def prune_out_channels(self, layer: nn.LayerNorm, idxs: Sequence[int]) -> nn.LayerNorm:
        gone = set(idxs)
        kept = [index for index in range(layer.normalized_shape[-1]) if index not in gone]
        for name in ("weight", "bias"):
            if getattr(layer, name) is not None:
                setattr(layer, name, self._prune_parameter_and_grad(getattr(layer, name), kept, -1))
        layer.normalized_shape = (*layer.normalized_shape[:-1], len(kept))
        return layer

    prune_in_channels = prune_out_channels


@dataclass(frozen=True)
class Trace:
    """A model's dependency graph, and the inputs that it was followed with."""

    graph: tp.DependencyGraph
    inputs: Mapping[str, torch.Tensor]


def trace(model: nn.Module, inputs: Mapping[str, torch.Tensor], logits: Callable[[Any], torch.Tensor]) -> Trace:
    """Follows a small batch through a model, which is left in evaluation mode.

    Args:
        model: Any module that runs on `inputs`.
        inputs: A small batch of its inputs by name.
        logits: Takes the tensor that counts out of the model's output.
    """
    norms = {type(module): _SortedLayerNorm() for module in model.modules() if isinstance(module, nn.LayerNorm)}
    with torch.enable_grad():
        graph = tp.DependencyGraph().build_dependency(
            model, example_inputs=dict(inputs), output_transform=logits, customized_pruners=norms, verbose=False
        )
    return Trace(graph, inputs)


@dataclass(frozen=True)
class _Coupling:
    """All modules and parameters that share the indices of one module's outputs."""

    size: int
    writers: tuple[str, ...]
    readers: tuple[Reader, ...]
    axes: tuple[Axis, ...]
    linear: bool
    """Only linears write it and only linears read it."""
    convolved: bool
    """Convolutions write it, and besides them only linears, normalisations and depthwise convolutions have it."""
    answer: bool
    """It is what the model answers."""
    free: bool
    """It is no output of the model, and wherever it lies, it lies there in one piece, channel by channel."""


def find_widths(model: nn.Module, traced: Trace, *, ranks: bool = False) -> Layout:
    """The widths of a traced model that can shrink.

    Args:
        model: As it was traced.
        traced: Its graph.
        ranks: Whether the ranks of linears are among them.

    Raises:
        StageError: A module says how many heads it has and that does not divide its width.
    """
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    graph = traced.graph
    names = {module: name for name, module in model.named_modules()}
    known: dict[str, _Coupling] = {}

    def coupling(name: str) -> _Coupling:
        if name not in known:
            found = _coupling(graph, model.get_submodule(name), names)
            known.update(dict.fromkeys(found.writers, found))
        return known[name]

    done: set[str] = set()
    blocks: list[Width] = []
    streams: dict[str, Width] = {}
    for name, module in model.named_modules():
        if not dense(module) or module not in graph.module2node or name in done:
            continue
        block = coupling(name)
        done.update(block.writers)
        if block.free and block.convolved and block.readers:
            branch, norm = False, None
            if len(block.readers) == 1 and _inside(model, block, coupling(block.readers[0].name)):
                branch, norm = _end(graph, model.get_submodule(block.readers[0].name), names)
            width = Width(name, "channels", block.size, 1, block.axes, block.readers, None, branch, norm)
            blocks.append(replace(width, bypass=not branch and can_bypass(model, width, traced.inputs)))
        if not (block.free and block.linear and len(block.readers) == 1):
            continue
        stream = coupling(block.readers[0].name)
        done.update(stream.writers)
        if _inside(model, block, stream):
            blocks.append(_block(model, name, block))
            if stream.free:
                first = stream.writers[0]
                streams[first] = Width(first, "hidden", stream.size, 1, stream.axes, stream.readers)
    widths = (*with_absorbers(model, graph, blocks), *streams.values())
    written = {writer for width in widths for writer in coupling(width.name).writers}
    left = (name for name, found in known.items() if name not in written and not found.answer)
    layout = Layout(widths, shapes, _ordered({name for name in left if dense(model.get_submodule(name))}, names))
    return layout.only([*widths, *rank_widths(model, graph)]) if ranks else layout


def _inside(model: nn.Module, block: _Coupling, stream: _Coupling) -> bool:
    """Whether the writers of a block read only the stream that its reader writes to."""
    dense_writers = {name for name in block.writers if dense(model.get_submodule(name))}
    return block is not stream and dense_writers <= {reader.name for reader in stream.readers}


def _end(graph: tp.DependencyGraph, reader: nn.Module, names: Mapping[nn.Module, str]) -> tuple[bool, str | None]:
    """Whether a convolution's output is added to a stream, directly or after a batch normalisation; and its name.

    A constant output is then one value per channel.
    """
    following = graph.module2node[reader].outputs
    if isinstance(reader, CONVOLUTIONS) and all(node.type == tp.ops.OPTYPE.ELEMENTWISE for node in following):
        return all("Add" in node.name for node in following), None
    if len(following) == 1 and isinstance(following[0].module, nn.modules.batchnorm._BatchNorm):
        norm = following[0]
        added = all("Add" in node.name for node in norm.outputs)
        if added and norm.module.affine and norm.module.track_running_stats:
            return True, names[norm.module]
    return False, None


def _block(model: nn.Module, name: str, block: _Coupling) -> Width:
    holder = name.rpartition(".")[0]
    heads = head_count(model.get_submodule(holder))
    if heads is None:
        return Width(name, "ffn", block.size, 1, block.axes, block.readers, branch=True)
    if block.size % heads[1]:
        raise StageError(f"'{holder}': {heads[0]} must divide the width {block.size}. Got: {heads[1]}")
    return Width(name, "heads", heads[1], block.size // heads[1], block.axes, block.readers, holder, branch=True)


def head_count(module: nn.Module) -> tuple[str, int] | None:
    """The attribute that counts the heads of an attention module and its value; None for other modules."""
    for name in HEAD_COUNTS:
        if isinstance(value := getattr(module, name, None), int):
            return name, value
    return None


def _coupling(graph: tp.DependencyGraph, module: nn.Module, names: Mapping[nn.Module, str]) -> _Coupling:
    size = graph.get_out_channels(module)
    prune = graph.get_pruner_of_module(module).prune_out_channels
    if fixed := _fixed(graph, module, prune, size, names):
        return fixed
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
        axes.extend(Axis(name, dim, *place) for name, dim in found for place in places or ((),))
        linear = linear and isinstance(target.module, nn.Linear)
        through = through and (dense(target.module) or _passes(target.module))
        if target.module in names:
            convolved = convolved or (not reads and dense(target.module) and not isinstance(target.module, nn.Linear))
            name = names[target.module]
            if reads:
                readers[name] = [Reader(name, *place) for place in places or ((),)]
            else:
                writers.add(name)
    return _Coupling(
        size,
        _ordered(writers, names),
        tuple(reader for name in _ordered(set(readers), names) for reader in readers[name]),
        tuple(sorted(axes)),
        linear,
        convolved and through,
        answer=False,
        free=free,
    )


def _fixed(
    graph: tp.DependencyGraph, module: nn.Module, prune: Any, size: int, names: Mapping[nn.Module, str]
) -> _Coupling | None:
    """The names in a coupling that cannot shrink, since it is the model's output or its channels are shuffled.

    None for others. Which indices go where is not traced: that may not terminate.
    """
    root = (graph.module2node[module], prune)
    reached, queue, parted, answer = {root}, [root], set[Any](), False
    while queue:
        node, handler = queue.pop()
        answer = answer or (not node.outputs and graph.is_out_channel_pruning_fn(handler))
        for dependency in node.dependencies:
            following = (dependency.target, dependency.handler)
            if dependency.is_triggered_by(handler) and following not in reached:
                reached.add(following)
                queue.append(following)
                if any(isinstance(each, PARTING) for each in dependency.index_mapping):
                    parted.add(dependency.target)
    if not answer and len(parted) <= SHUFFLED:
        return None
    named = [(names[node.module], _takes(graph, node, handler)) for node, handler in reached if node.module in names]
    reads, writes = ({name for name, takes in named if takes is kind} for kind in (True, False))
    readers = tuple(Reader(name) for name in _ordered(reads, names))
    return _Coupling(size, _ordered(writes, names), readers, (), False, False, answer, False)


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


def _ordered(chosen: set[str], names: Mapping[nn.Module, str]) -> tuple[str, ...]:
    return tuple(name for name in names.values() if name in chosen)


def _axes(
    graph: tp.DependencyGraph, dependency: tp.dependency.Dependency, names: Mapping[nn.Module, str]
) -> Iterator[tuple[str, int]]:
    """The axes that a dependency's handler shortens, found by letting it shorten a copy."""
    target = dependency.target
    if isinstance(target.module, nn.Parameter):
        yield graph._param_to_name[target.module], target.pruning_dim % target.module.dim()
    elif target.module in names:
        own = dict(target.module.named_parameters())
        hollow = {id(value): nn.Parameter(torch.empty_like(value, device="meta")) for value in own.values()}
        twin = copy.deepcopy(target.module, hollow)  # a copy whose parameters take no memory
        dependency.handler.__self__.pruning_dim = target.pruning_dim
        dependency.handler(twin, [0])
        for name, value in twin.named_parameters():
            for axis, (old, new) in enumerate(zip(own[name].shape, value.shape, strict=True)):
                if old != new:
                    yield f"{names[target.module]}.{name}", axis
