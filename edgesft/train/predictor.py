"""A torch model behind the call that tasks predict with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from edgesft.tasks.base import Batch, Run

Graphs = Callable[[nn.Module], Mapping[str, nn.Module]]
"""A model → what computes each of its graphs, as `Task.modules` has it."""


def _whole(model: nn.Module) -> Mapping[str, nn.Module]:
    return {"model": model}


def runner(model: nn.Module, graphs: Graphs = _whole) -> Run:
    """`run(feeds, graph="model")` on a torch model: arrays in, arrays out by name, in evaluation mode.

    Args:
        model: Runs where its weights are.
        graphs: What computes its graphs; each returns a mapping of names to tensors, as transformers' models do.
    """
    modules = graphs(model)

    def run(feeds: Batch, graph: str = "model") -> dict[str, np.ndarray]:
        device = next(model.parameters()).device
        training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                # What a cache has at its start is nothing, which models of transformers make themselves.
                given = {name: value for name, value in feeds.items() if value.size}
                outputs = modules[graph](
                    **{name: torch.as_tensor(value, device=device) for name, value in given.items()}
                )
        finally:
            model.train(training)
        return {name: _array(value) for name, value in outputs.items() if isinstance(value, torch.Tensor)}

    return run


def _array(value: torch.Tensor) -> np.ndarray:
    """As float32 where it is a float, for numpy has no bfloat16."""
    array: np.ndarray = (value.float() if value.is_floating_point() else value).cpu().numpy()
    return array
