"""Bypassing a layer: the next layer reads its input instead, and is fitted to give the same output as both.

The latency of small nets depends on the number of layers. Of a convolution, the channelwise layers after it
(normalisations, activations, depthwise convolutions) and the convolution that reads them, only the last one stays. Its
weights are fitted to the output of all of them by least squares, layer by layer (He et al. 2017, arXiv 1707.06168).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from edgesft.errors import StageError
from edgesft.stages.prune.layout import Width
from edgesft.train.drift import Drift
from edgesft.train.environment import out_of_memory
from edgesft.train.normalisation import recalibrate
from edgesft.train.objective import inputs_of
from edgesft.train.placeholders import Passing

LEFT_OUT = (nn.Conv1d, nn.Conv2d, nn.modules.batchnorm._BatchNorm, nn.PReLU)
"""Modules that can be bypassed."""

RIDGE = 1e-4
"""Added to the diagonal of the normal equations, relative to its mean: it decides the weights of channels that are 0 in
all rows."""

Inputs = Mapping[str, torch.Tensor]


def can_bypass(model: nn.Module, width: Width, inputs: Inputs) -> bool:
    """Whether the only reader of a width can read what its only dense writer reads: tried on a small batch.

    Args:
        model: As it was when the batch was made; is as before afterwards.
        width: Channels of convolutions, named after the first writer.
        inputs: The batch.
    """
    writers = [model.get_submodule(name) for name in width.writers]
    readers = [model.get_submodule(reader.name) for reader in width.consumers]
    dense = [each for each in writers if isinstance(each, nn.Conv1d | nn.Conv2d) and each.groups == 1]
    kind = type(dense[0]) if dense else None
    alone = len(dense) == len(readers) == 1 and kind in (nn.Conv1d, nn.Conv2d) and type(readers[0]) is kind
    if not alone or not all(isinstance(each, LEFT_OUT) for each in writers):
        return False
    reader = width.consumers[0].name
    if readers[0].in_channels != width.size:  # it reads others beside
        return False
    read, now = _read(model, (width.name, reader), inputs)
    if read is None or now is None or read.shape[2:] != now.shape[2:]:
        return False
    with _left_out(model, width):
        then = _read(model, (reader,), inputs)[0]
    return then is not None and then.shape == read.shape


def bypass(model: nn.Module, widths: Sequence[Width], rows: Sequence[Inputs] = ()) -> None:
    """Bypasses the layers that write some widths; each reader is fitted to its earlier output.

    Args:
        model: Changed in place, and put into evaluation mode.
        widths: Such as `can_bypass` finds, in the order of the layers.
        rows: Batches to fit on; without any, weights are random.

    Raises:
        StageError: A reader does not run on its new input.
    """
    whole = copy.deepcopy(model).eval() if rows else model
    model.eval()
    for width in widths:
        writer, reader = model.get_submodule(width.name), width.consumers[0].name
        for name in width.writers:
            model.set_submodule(name, Passing())
        layer = _reading(model.get_submodule(reader), writer.in_channels)  # type: ignore[arg-type]
        model.set_submodule(reader, layer)
        if rows:
            _fit(model, whole, reader, rows)


def without(
    model: nn.Module,
    width: Width,
    batches: Sequence[Mapping[str, Any]],
    drift: Drift,
) -> float:
    """Mean drift of the model's outputs when the layer that writes a width is bypassed."""
    rows = [inputs_of(batch) for batch in batches]
    candidate = copy.deepcopy(model)
    bypass(candidate, [width], rows)
    recalibrate(candidate, rows)
    found, seen = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            inputs, count = inputs_of(batch), len(batch["labels"])
            found += float(drift(candidate(**inputs), model(**inputs), batch)) * count
            seen += count
    return found / max(seen, 1)


def _reading(reader: nn.Module, channels: int) -> nn.Module:
    """The same convolution for so many input channels."""
    layer: Any = copy.deepcopy(reader)
    layer.in_channels = channels
    layer.weight = nn.Parameter(layer.weight.new_empty((layer.out_channels, channels, *layer.kernel_size)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nn.init.kaiming_normal_(layer.weight)
    return layer  # type: ignore[no-any-return]


def _fit(model: nn.Module, whole: nn.Module, name: str, rows: Sequence[Inputs]) -> None:
    """Fits a convolution's weights to the whole model's output by least squares."""
    layer: Any = model.get_submodule(name)
    squares = products = torch.zeros((), dtype=torch.float64)
    for inputs in rows:
        (read,), (wanted,) = _read(model, (name,), inputs), _read(whole, (name,), inputs, answers=True)
        if read is None or wanted is None:
            raise StageError(f"prune: '{name}' does not run without the layer before it")
        seen, said = _patches(layer, read).double(), wanted.flatten(2).transpose(1, 2).flatten(0, 1).double()
        squares, products = squares + seen.T @ seen, products + seen.T @ said
    squares += torch.eye(len(squares)).double() * RIDGE * squares.diagonal().mean()
    found = torch.linalg.solve(squares, products).T.to(layer.weight.dtype)
    with torch.no_grad():
        if layer.bias is not None:
            layer.bias.copy_(found[:, -1])
            found = found[:, :-1]
        layer.weight.copy_(found.reshape(layer.weight.shape))


def _patches(layer: Any, read: torch.Tensor) -> torch.Tensor:
    """A convolution's input at each output position, with a 1 for the bias; shape [rows · positions, values]."""
    padded = functional.pad(
        read,
        layer._reversed_padding_repeated_twice,
        mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode,
    )
    for axis, (size, stride, dilation) in enumerate(
        zip(layer.kernel_size, layer.stride, layer.dilation, strict=True), 2
    ):
        padded = padded.unfold(axis, (size - 1) * dilation + 1, stride)[..., ::dilation]
    places = len(layer.kernel_size)
    found = padded.movedim(1, places + 1).flatten(places + 1).flatten(0, places)
    return found if layer.bias is None else torch.cat([found, found.new_ones(len(found), 1)], 1)


def _read(
    model: nn.Module, names: Sequence[str], inputs: Inputs, *, answers: bool = False
) -> list[torch.Tensor | None]:
    """Last inputs, or outputs, of some modules in one run of the model; None for those that did not run."""
    found: dict[str, torch.Tensor] = {}

    def hook(module: nn.Module, given: tuple[torch.Tensor, ...], *answer: torch.Tensor) -> None:
        found[places[module]] = answer[0] if answer else given[0]

    places = {model.get_submodule(name): name for name in names}
    hooks = [
        module.register_forward_hook(hook) if answers else module.register_forward_pre_hook(hook) for module in places
    ]
    try:
        with torch.no_grad():
            model(**inputs)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        # What comes after may not fit yet.
    finally:
        for each in hooks:
            each.remove()
    return [found.get(name) for name in names]


@contextmanager
def _left_out(model: nn.Module, width: Width) -> Iterator[None]:
    """A context in which the layer that writes a width is an identity."""
    writers = {name: model.get_submodule(name) for name in width.writers}
    try:
        for name in writers:
            model.set_submodule(name, Passing())
        yield
    finally:
        for name, module in writers.items():
            model.set_submodule(name, module)
