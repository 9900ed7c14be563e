"""The rank of linears as a width: outputs lie mostly in a few directions, for which two narrow linears suffice.

Of all matrices of a rank, the one whose outputs on given rows are closest to a linear's is the linear followed by the
projection onto the principal directions of its outputs (DRONE, Chen et al. 2021, "Data-aware Low-rank Compression for
Large NLP Models").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch_pruning as tp
from torch import nn

from edgesft.stages.prune.layout import Axis, Width
from edgesft.stages.prune.sensitivity import drifts
from edgesft.train.drift import Drift
from edgesft.train.factors import Factors, weights
from edgesft.train.objective import inputs_of

Inputs = Mapping[str, torch.Tensor]


def rank_widths(model: nn.Module, graph: tp.DependencyGraph) -> list[Width]:
    """The ranks of all linears inside a model's graph; of those that have factors already, what is left."""
    found = []
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if isinstance(module, Factors):
            inside.update(module)
            axes = (Axis(f"{name}.first.weight", 0), Axis(f"{name}.second.weight", 1))
            found.append(Width(f"{name}.rank", "rank", module.rank, 1, axes, (), linear=name))
        elif isinstance(module, nn.Linear) and module not in inside and _goes_on(module, graph):
            answered, read = module.weight.shape
            # From there on two products have as many weights as one.
            least = -(-read * answered // (read + answered)) - 1
            if least > 0:
                found.append(Width(f"{name}.rank", "rank", min(read, answered), 1, (), (), linear=name, most=least))
    return found


def _goes_on(linear: nn.Linear, graph: tp.DependencyGraph) -> bool:
    """Whether something follows in the graph: what the model itself answers stays."""
    return linear in graph.module2node and bool(graph.module2node[linear].outputs)


def reduce(model: nn.Module, ranks: Mapping[str, int], rows: Sequence[Inputs] = ()) -> None:
    """Replaces each linear by two narrow ones, in place.

    Args:
        model: Is put into evaluation mode.
        ranks: Linear → its new rank.
        rows: Batches from which the directions are found; without any, directions are arbitrary.
    """
    found = directions(model, list(ranks), rows)
    for name, rank in ranks.items():
        weight, bias = weights(model.get_submodule(name))
        kept = found[name][:, :rank].to(weight.dtype).contiguous()
        model.set_submodule(name, Factors.of(kept.T @ weight, kept, bias))


def harms(
    model: nn.Module,
    widths: Sequence[Width],
    sizes: Mapping[str, Sequence[int]],
    batches: Sequence[Mapping[str, Any]],
    drift: Drift,
) -> dict[str, list[float]]:
    """Mean drift of the model's outputs when a linear has a lower rank.

    Args:
        model: Is put into evaluation mode.
        widths: Ranks.
        sizes: Width → the ranks to try.
        batches: Inputs and `labels`.
        drift: How far outputs are from the whole model's on a batch.
    """
    known = directions(model, [str(width.linear) for width in widths], [inputs_of(batch) for batch in batches])

    def projected(width: Width, rank: int) -> AbstractContextManager[None]:
        return _projected(model.get_submodule(str(width.linear)), known[str(width.linear)][:, :rank])

    linears = {width: [str(width.linear)] for width in widths}
    return drifts(model, {width: sizes[width.name] for width in widths}, batches, drift, projected, linears)


def directions(model: nn.Module, linears: Sequence[str], rows: Sequence[Inputs]) -> dict[str, torch.Tensor]:
    """Principal directions of the outputs of linears without their biases; shape [outputs, directions], the largest
    first.
    """
    squares: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, _: Any, answer: torch.Tensor) -> None:
            said = _without_bias(module, answer).flatten(0, -2).double()
            squares[name] = squares.get(name, 0) + said.T @ said

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(watch(name)) for name in linears]
    try:
        model.eval()
        with torch.no_grad():
            for inputs in rows:
                model(**inputs)
    finally:
        for each in hooks:
            each.remove()
    found = {}
    for name in linears:
        answered = len(weights(model.get_submodule(name))[0])
        found[name] = torch.linalg.eigh(squares[name])[1].flip(1) if name in squares else torch.eye(answered)
    return found


@contextmanager
def _projected(linear: nn.Module, kept: torch.Tensor) -> Iterator[None]:
    """A context in which a linear's output is projected onto some directions."""

    def hook(module: nn.Module, _: Any, answer: torch.Tensor) -> torch.Tensor:
        said = _without_bias(module, answer)
        basis = kept.to(said.dtype)
        return answer - said + said @ basis @ basis.T

    handle = linear.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _without_bias(linear: nn.Module, answer: torch.Tensor) -> torch.Tensor:
    bias = weights(linear)[1]
    return answer if bias is None else answer - bias
