"""How pruning one width alone changes the model's outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.stages.prune.importance import features_last, gated
from edgesft.stages.prune.layout import Reader, Width
from edgesft.stages.prune.plan import top
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
    found = {width.name: np.zeros(len(sizes[width.name])) for width in widths}
    seen = 0
    with torch.no_grad():
        for batch in batches:
            rows = len(batch["labels"])
            inputs = inputs_of(batch)
            whole = model(**inputs)
            for width in widths:
                for place, size in enumerate(sizes[width.name]):
                    if size < width.size:
                        with _silenced(model, width, top(scores[width.name], size)):
                            found[width.name][place] += float(drift(model(**inputs), whole, batch)) * rows
            seen += rows
    return {name: (sums / max(seen, 1)).tolist() for name, sums in found.items()}


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
