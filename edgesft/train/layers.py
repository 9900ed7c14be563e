"""Dropping whole layers of an encoder: the first step to a shallower student (Sanh et al. 2019, arXiv 1910.01108)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from edgesft.errors import InputError


def evenly_spaced(count: int, total: int) -> tuple[int, ...]:
    """`count` of `total` indices at equal distances, the first and the last among them; one index is the first."""
    if count == 1:
        return (0,)
    gaps = count - 1
    return tuple((2 * index * (total - 1) + gaps) // (2 * gaps) for index in range(count))


def chosen_layers(wanted: Sequence[int] | int, total: int) -> tuple[int, ...]:
    """The indices of the layers to keep.

    Args:
        wanted: Indices from 0, or how many.
        total: Layers that there are.

    Raises:
        InputError: An index or the count is out of range, or the indices do not rise.
    """
    if isinstance(wanted, int):
        if not 1 <= wanted <= total:
            raise InputError(f"layers: must be 1 to {total}, the number of the model's layers, got {wanted}")
        return evenly_spaced(wanted, total)
    indices = tuple(wanted)
    if not indices or any(not 0 <= index < total for index in indices):
        raise InputError(
            f"layers: must be indices from 0 to {total - 1}, for the model has {total} layers, got {list(indices)}",
            f"layers: {list(evenly_spaced(max(1, total // 2), total))}",
        )
    if list(indices) != sorted(set(indices)):
        raise InputError(f"layers: must rise, each index once, got {list(indices)}", f"layers: {sorted(set(indices))}")
    return indices


def layer_count(model: nn.Module) -> int:
    """Number of the repeated layers, as the configuration says it.

    Raises:
        InputError: The configuration does not say it.
    """
    count = getattr(getattr(model, "config", None), "num_hidden_layers", None)
    if not isinstance(count, int):
        raise InputError(
            f"layers: needs a model whose configuration has num_hidden_layers, got {type(model).__name__}",
            "leave 'layers' out: the student keeps all of its layers",
        )
    return count


def keep_layers(model: nn.Module, indices: Sequence[int]) -> None:
    """Drops the other layers, in place; the configuration then says how many there are.

    Args:
        model: Has its layers in an `nn.ModuleList` as long as `config.num_hidden_layers`; the outermost one is taken.
        indices: Layers to keep, rising.

    Raises:
        InputError: There is no such list.
    """
    total = layer_count(model)
    place = next(
        (name for name, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module) == total),
        None,
    )
    if place is None:
        raise InputError(
            f"layers: needs a model with a list of {total} layers, found none in {type(model).__name__}",
            "leave 'layers' out: the student keeps all of its layers",
        )
    layers = model.get_submodule(place)
    kept = nn.ModuleList(layers[index] for index in indices)
    for position, layer in enumerate(kept):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = position
    parent, _, leaf = place.rpartition(".")
    setattr(model.get_submodule(parent), leaf, kept)
    model.config.num_hidden_layers = len(kept)
