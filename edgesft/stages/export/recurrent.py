"""Recurrent layers as ONNX's own operators: torch's exporter makes a loop over the steps of each, which runs slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

GATES = {nn.LSTM: (0, 3, 1, 2), nn.GRU: (1, 0, 2)}
"""Torch's gates in ONNX's order: input, output, forget, cell; update, reset, hidden."""

ATTRIBUTES: dict[type[nn.Module], dict[str, Any]] = {nn.LSTM: {}, nn.GRU: {"linear_before_reset": 1}}

BUFFER = "onnx_{}_{}"


@contextmanager
def whole(module: nn.Module) -> Iterator[None]:
    """Inside, LSTMs and GRUs of a module are exported as one operator a layer; they compute nothing there."""
    found = [each for each in module.modules() if type(each) in GATES and not getattr(each, "proj_size", 0)]
    for each in found:
        for layer in range(each.num_layers):
            for name, tensor in zip("wrb", _weights(each, layer), strict=True):
                each.register_buffer(BUFFER.format(name, layer), tensor, persistent=False)
        each.forward = _operator(each)
    try:
        yield
    finally:
        for each in found:
            del each.forward
            for layer in range(each.num_layers):
                for name in "wrb":
                    delattr(each, BUFFER.format(name, layer))


def _operator(module: nn.LSTM | nn.GRU) -> Callable[..., Any]:
    """What stands in for `forward`: the same shapes, and in the graph one node a layer."""
    kind, two = type(module).__name__, isinstance(module, nn.LSTM)
    ways = 2 if module.bidirectional else 1
    attributes = {
        "hidden_size": module.hidden_size,
        "direction": "bidirectional" if ways == 2 else "forward",
        **ATTRIBUTES[type(module)],
    }

    def forward(x: torch.Tensor, state: Any = None) -> Any:
        x = x.transpose(0, 1) if module.batch_first else x
        steps, rows, size = x.shape[0], x.shape[1], module.hidden_size
        if state is None:
            zeros = x.new_zeros(ways * module.num_layers, rows, size)
            state = (zeros, zeros) if two else zeros
        states = state if two else (state,)
        after: list[list[torch.Tensor]] = [[] for _ in states]
        for layer in range(module.num_layers):
            first = [each[ways * layer : ways * (layer + 1)] for each in states]
            weights = [getattr(module, BUFFER.format(name, layer)) for name in "wrb"]
            found, *last = torch.onnx.ops.symbolic_multi_out(
                kind,
                (x, *weights, None, *first),
                attributes,
                dtypes=[x.dtype] * (1 + len(states)),
                shapes=[(steps, ways, rows, size), *[(ways, rows, size)] * len(states)],
            )
            x = found.transpose(1, 2).flatten(2) if ways == 2 else found.squeeze(1)
            for kept, each in zip(after, last, strict=True):
                kept.append(each)
        ended = tuple(each[0] if len(each) == 1 else torch.cat(each) for each in after)
        return x.transpose(0, 1) if module.batch_first else x, ended if two else ended[0]

    return forward


def _weights(module: nn.LSTM | nn.GRU, layer: int) -> list[torch.Tensor]:
    """Of a layer what it reads by, recurs by and adds, each shape [directions, …]."""
    found: list[list[torch.Tensor]] = [[], [], []]
    for suffix in ("", "_reverse")[: 2 if module.bidirectional else 1]:
        parts = [getattr(module, f"weight_{side}_l{layer}{suffix}") for side in ("ih", "hh")]
        biases = [getattr(module, f"bias_{side}_l{layer}{suffix}", None) for side in ("ih", "hh")]
        size = len(parts[0])
        for kept, part in zip(found, parts, strict=False):
            kept.append(_ordered(module, part))
        added = [part.new_zeros(size) if bias is None else bias for part, bias in zip(parts, biases, strict=True)]
        found[2].append(torch.cat([_ordered(module, each) for each in added]))
    return [torch.stack(each).detach() for each in found]


def _ordered(module: nn.LSTM | nn.GRU, part: torch.Tensor) -> torch.Tensor:
    gates = part.reshape(-1, module.hidden_size, *part.shape[1:])
    return gates[list(GATES[type(module)])].flatten(0, 1)
