"""Mixed precision: where int8 costs more than is allowed, what suffers most stays in float."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.measure.saturation import saturates
from edgesft.stages.context import StageContext
from edgesft.stages.export.graph import modules_of
from edgesft.train.drift import drift_of
from edgesft.train.objective import inputs_of
from edgesft.train.rounding import LEVELS, REDUCED, rounded, rounding

BATCH, BATCHES = 32, 4
"""Training rows that the answers are compared on, in as many batches: a mean over 128 of them tells layers apart that
differ by more than a tenth or so, and each layer runs them once."""


def sensitive(model: nn.Module, context: StageContext) -> list[str]:
    """Modules whose rounding alone moves the answers most, first.

    Args:
        model: The float model.
        context: Task and rows.
    """
    model.eval()
    drift, names = drift_of(context.task), rounding(model)
    levels = REDUCED if saturates(context.machine) else LEVELS
    moved = np.zeros(len(names))
    with torch.no_grad(), context.progress.bar("quantize: sensitivity", BATCHES) as advance:
        for batch in _batches(context):
            inputs = inputs_of(batch)
            whole = model(**inputs)
            for place, name in enumerate(names):
                with rounded(model, [name], levels):
                    moved[place] += float(drift(model(**inputs), whole, batch))
            advance()
    return [names[place] for place in np.argsort(-moved, kind="stable")]


def rescued(
    nodes: Sequence[str], order: Sequence[str], attempt: Callable[[tuple[str, ...]], float], allowance: float
) -> tuple[str, ...] | None:
    """The nodes to leave in float so that a model drops by no more than the allowance: 1, 2, 4 … of the worst.

    Args:
        nodes: Those that would be quantized, named after their modules.
        order: Modules, the worst first.
        attempt: `attempt(kept) -> drop` with these nodes in float.
        allowance: Largest drop.

    Returns:
        None where even half of them do not suffice.
    """
    of_module: dict[str, list[str]] = {}
    for node in nodes:
        for name in modules_of(node):
            of_module.setdefault(name, []).append(node)
    worst = list(dict.fromkeys(node for name in order for node in of_module.get(name, ())))
    count = 1
    while 2 * count <= len(worst):
        kept = tuple(sorted(worst[:count]))
        if attempt(kept) <= allowance:
            return kept
        count *= 2
    return None


def _batches(context: StageContext) -> Iterator[Mapping[str, Any]]:
    rng = np.random.default_rng(context.seed)
    drawn = rng.permutation(len(context.train))[: BATCH * BATCHES]
    for start in range(0, len(drawn), BATCH):
        rows = [context.train[index] for index in drawn[start : start + BATCH]]
        yield {name: torch.as_tensor(values) for name, values in context.task.collate(rows, context.processor).items()}
