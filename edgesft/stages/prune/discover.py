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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from torch_pruning.pruner import function
from transformers.pytorch_utils import Conv1D

from edgesft.errors import StageError
from edgesft.stages.prune.absorption import with_absorbers
from edgesft.stages.prune.bypass import can_bypass
from edgesft.stages.prune.coupling import CONVOLUTIONS, Coupling, coupled, dense, ordered
from edgesft.stages.prune.graph import Graph
from edgesft.stages.prune.layout import Layout, Width
from edgesft.stages.prune.rank import rank_widths

HEAD_COUNTS = ("num_attention_heads", "n_heads", "num_heads", "heads", "n_head", "nhead")
"""Names of the number of heads in attention modules."""

UNKNOWN = (nn.RNNBase, Conv1D)
"""Modules that torch-pruning does not follow: of recurrent ones it knows LSTMs only, and `Conv1D` is GPT-2's linear."""

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.MultiheadAttention, *UNKNOWN)
"""Modules that are named where their outputs stay as wide as they are."""

TRIPLE = 3
"""So many layers that write one width, as queries, keys and values, are taken for attention by whatever operation."""


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

    graph: Graph
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
        graph = Graph().build_dependency(
            model, example_inputs=dict(inputs), output_transform=logits, customized_pruners=norms, verbose=False
        )
    return Trace(graph, inputs)


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
    known: dict[str, Coupling] = {}

    def coupling(name: str) -> Coupling:
        if name not in known:
            found = coupled(graph, model.get_submodule(name), names)
            known.update(dict.fromkeys(found.writers, found))
        return known[name]

    done: set[str] = set()
    blocks: list[Width] = []
    uncounted: list[str] = []
    streams: dict[str, Width] = {}
    for name, module in model.named_modules():
        if not dense(module) or module not in graph.module2node or name in done:
            continue
        block = coupling(name)
        done.update(block.writers)
        if _are_channels(model, block):
            stream = coupling(block.readers[0].name) if len(block.readers) == 1 else None
            ends = stream is not None and _inside(model, block, stream)
            blocks.append(_channels(model, traced, name, block, names, ends=ends))
        if not (block.linear and len(block.readers) == 1):
            continue
        stream = coupling(block.readers[0].name)
        inside = _inside(model, block, stream)
        if block.free or inside:
            done.update(stream.writers)
        if inside and block.free:
            width = _block(model, name, block)
            if width:
                blocks.append(width)
            else:
                uncounted.append(name.rpartition(".")[0])
        if inside and stream.free and not _are_channels(model, stream):
            first = stream.writers[0]
            streams[first] = Width(first, "hidden", stream.size, 1, stream.axes, stream.readers)
    may_go = {reader.name for width in blocks if width.branch for reader in width.consumers}
    named = (*with_absorbers(model, graph, blocks), *streams.values())
    widths = [replace(width, name=_lasting(model, width, coupling(width.name), may_go)) for width in named]
    written = {writer for width in widths for writer in coupling(width.name).writers}
    kept = written | {name for name, found in known.items() if found.answer}
    weighted = {name for module, name in names.items() if isinstance(module, WEIGHTED) and _runs(graph, module)}
    left_alone = ordered(weighted - kept, names)
    layout = Layout(tuple(widths), shapes, left_alone, tuple(uncounted))
    return layout.only([*widths, *rank_widths(model, graph)]) if ranks else layout


def _runs(graph: Graph, module: nn.Module) -> bool:
    """Whether the model computes something with a module, as far as it can be told."""
    return module in graph.module2node or isinstance(module, UNKNOWN)


def _lasting(model: nn.Module, width: Width, coupling: Coupling, ends: set[str]) -> str:
    """The name of a width: its first writer, but not the end of a branch, which may go: rounds that follow look for the
    name.
    """
    writers = coupling.writers if width.kind == "hidden" else _dense_writers(model, coupling)
    return next((name for name in writers if name not in ends), width.name)


def _inside(model: nn.Module, block: Coupling, stream: Coupling) -> bool:
    """Whether the writers of a block read only the stream that its reader writes to."""
    return block is not stream and set(_dense_writers(model, block)) <= {reader.name for reader in stream.readers}


def _are_channels(model: nn.Module, found: Coupling) -> bool:
    """Whether a width is one of convolutions. Of several, those before a product are attention's heads; one is what
    attention pools.
    """
    heads = found.attention and len(_dense_writers(model, found)) > 1
    return found.free and found.convolved and bool(found.readers) and not heads


def _dense_writers(model: nn.Module, block: Coupling) -> tuple[str, ...]:
    return tuple(name for name in block.writers if dense(model.get_submodule(name)))


def _channels(
    model: nn.Module, traced: Trace, name: str, block: Coupling, names: Mapping[nn.Module, str], *, ends: bool
) -> Width:
    """What convolutions write; `ends` where its only reader writes back to the stream that they read."""
    branch, norm = False, None
    if ends:
        branch, norm = _end(traced.graph, model.get_submodule(block.readers[0].name), names)
    width = Width(name, "channels", block.size, 1, block.axes, block.readers, None, branch, norm)
    return replace(width, bypass=not branch and can_bypass(model, width, traced.inputs))


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


def _block(model: nn.Module, name: str, block: Coupling) -> Width | None:
    """A block of heads or of feed-forward units; None for attention that does not say how many heads it has."""
    holder = name.rpartition(".")[0]
    # The module may hold a whole layer, and counts the heads for its attention alone.
    if not block.attention and len(_dense_writers(model, block)) < TRIPLE:
        return Width(name, "ffn", block.size, 1, block.axes, block.readers, branch=True)
    heads = head_count(model.get_submodule(holder))
    if heads is None:
        return None
    if block.size % heads[1]:
        raise StageError(f"'{holder}': {heads[0]} must divide the width {block.size}. Got: {heads[1]}")
    return Width(name, "heads", heads[1], block.size // heads[1], block.axes, block.readers, holder, branch=True)


def head_count(module: nn.Module) -> tuple[str, int] | None:
    """The attribute that counts the heads of an attention module and its value; None for other modules."""
    for name in HEAD_COUNTS:
        if isinstance(value := getattr(module, name, None), int):
            return name, value
    return None
