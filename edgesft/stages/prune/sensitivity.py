"""How pruning one width alone changes the model's outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.stages.prune.importance import features_last, gated
from edgesft.stages.prune.layout import Reader, Width
from edgesft.stages.prune.plan import top
from edgesft.stages.prune.replay import Replay
from edgesft.train.drift import Drift
from edgesft.train.objective import inputs_of


def sensitivity(
    model: nn.Module,
    widths: Sequence[Width],
    sizes: Mapping[str, Sequence[int]],
    scores: Mapping[str, np.ndarray],
    batches: Iterable[Mapping[str, Any]],
    drift: Drift,
) -> dict[str, list[float]]:
    """Drift of the model's outputs when a width keeps only its most important units.

    The loss is no good measure: on training rows it often falls when units are removed. The other units are set to zero
    where they are read, which equals pruning a block; in a stream, normalisations still count them, so that the figure
    is an estimate.

    Args:
        model: Is put into evaluation mode.
        widths: What to try.
        sizes: Width → the sizes to try.
        scores: Width → importance of its units; shape [units].
        batches: Inputs and `labels` as tensors on the model's device, rows first.
        drift: How far the outputs are from the whole model's on a batch, a mean over its rows.

    Returns:
        Width → drift a row at each size.
    """
    model.eval()

    def silenced(width: Width, size: int) -> AbstractContextManager[None]:
        return _silenced(model, width, top(scores[width.name], size))

    readers = {width: [each.name for each in width.consumers] for width in widths}
    return drifts(model, {width: sizes[width.name] for width in widths}, batches, drift, silenced, readers)


def drifts(
    model: nn.Module,
    sizes: Mapping[Width, Sequence[int]],
    batches: Iterable[Mapping[str, Any]],
    drift: Drift,
    changed: Callable[[Width, int], AbstractContextManager[None]],
    places: Mapping[Width, Collection[str]],
) -> dict[str, list[float]]:
    """Drift of a model's outputs while it is changed temporarily, one width and size at a time.

    Args:
        model: In evaluation mode.
        sizes: Width → the sizes to try; the drift at its own size is 0.
        batches: Inputs and `labels` as tensors on the model's device, rows first.
        drift: See `sensitivity`.
        changed: A context in which a width of the model has a size.
        places: Width → the modules at which it is changed; what returned before them is not computed again.

    Returns:
        Width → drift a row at each size.
    """
    tried = [(width, place, size) for width in sizes for place, size in enumerate(sizes[width]) if size < width.size]
    found, seen = {width.name: [0.0] * len(sizes[width]) for width in sizes}, 0
    replay, before = None, dict[Width, list[str]]()
    with torch.no_grad():
        for batch in batches:
            inputs, rows = inputs_of(batch), len(batch["labels"])
            if replay is None:
                replay = Replay(model, inputs)
                before = {width: replay.before(places[width]) for width in sizes}
            whole, known = replay.answers({name for names in before.values() for name in names}, inputs)
            for width, place, size in tried:
                with changed(width, size), replay.given({name: known[name] for name in before[width]}):
                    found[width.name][place] += float(drift(model(**inputs), whole, batch)) * rows
            seen += rows
    return {name: [total / max(seen, 1) for total in totals] for name, totals in found.items()}


@contextmanager
def _silenced(model: nn.Module, width: Width, kept: np.ndarray) -> Iterator[None]:
    gates = torch.zeros(width.size, device=next(model.parameters()).device)
    gates[torch.as_tensor(kept)] = 1

    def through(place: Reader) -> Any:
        def hook(reader: nn.Module, inputs: tuple[Any, ...]) -> Any:
            found = features_last(reader, inputs[0])
            of_rows = gates.expand(len(found), -1)
            return features_last(reader, gated(found, of_rows, width.channels * place.spread, place.first)), *inputs[1:]

        return hook

    hooks = [model.get_submodule(each.name).register_forward_pre_hook(through(each)) for each in width.consumers]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()
