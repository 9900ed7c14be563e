"""How a model differs from what its configuration says: pruned widths, changed attributes, ties between tensors.

A configuration has one number for all layers, so it cannot describe a model whose layers were pruned apart. What it
cannot say is recorded here as plain JSON and set again on a fresh skeleton; no module is ever pickled.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.train import factors, vocabulary
from edgesft.train.placeholders import absences, restore

SHOWN = 5
"""Names listed in a message before it says how many more there are."""


def record(model: nn.Module) -> dict[str, Any]:
    """What a model built from this model's `config` alone would get wrong besides the weights.

    Args:
        model: A module that its class builds from `model.config`, as transformers' models do.

    Returns:
        `{"attributes": …, "ties": …, "absent": …, "trimmed": …, "factored": …}`, JSON values; an entry is there only
        where the model differs.
        `attributes` holds numbers such as `num_attention_heads` or `out_features` by module; `ties` maps each tensor
        that is the same as an earlier one to that one's name; `absent` has the units of modules that are gone,
        `trimmed` the rows of tables that lack some, and `factored` the ranks of linears that are two.
    """
    fresh, gone = skeleton(model), dict(absences(model))
    usual = dict(fresh.named_modules())
    attributes = {
        name: changed
        for name, module in model.named_modules()
        if name in usual and name not in gone and (changed := _changed(_numbers(module), _numbers(usual[name])))
    }
    found: dict[str, Any] = {"attributes": attributes} if attributes else {}
    if ties(model) != ties(fresh):
        found["ties"] = ties(model)
    if gone:
        found["absent"] = gone
    if trimmed := dict(vocabulary.trimmings(model)):
        found["trimmed"] = trimmed
    if factored := dict(factors.ranks(model)):
        found["factored"] = factored
    return found


def skeleton(model: nn.Module) -> nn.Module:
    """The same class built anew from the model's configuration, without memory for its tensors where that works."""
    kind: Any = type(model)
    try:
        with torch.device("meta"), warnings.catch_warnings():
            # A module of one's own may read its weights while it is made; here they are of no use.
            warnings.filterwarnings("ignore", "for .* copying from a non-meta parameter")
            fresh: nn.Module = kind(copy.deepcopy(model.config))
    except (InputError, NotImplementedError, RuntimeError):
        # A module of one's own may look at numbers while it is made.
        with torch.random.fork_rng():
            fresh = kind(copy.deepcopy(model.config))
    return fresh


def ties(module: nn.Module) -> dict[str, str]:
    """Names in the state dict whose tensor is also there under an earlier name → that name."""
    first: dict[int, str] = {}
    state = module.state_dict(keep_vars=True)
    return {name: kept for name, tensor in state.items() if (kept := first.setdefault(id(tensor), name)) != name}


def fit(fresh: nn.Module, state: Mapping[str, torch.Tensor], recorded: Mapping[str, Any] | None = None) -> None:
    """Gives a fresh model the tensors of a state, whatever their shapes, and the attributes that go with them.

    Args:
        fresh: The model that the configuration describes; changed in place. It takes the state's tensors themselves.
        state: Every parameter and persistent buffer by name, tied ones once.
        recorded: As `record` gives it; None where the model is what its configuration says.

    Raises:
        InputError: Names are missing or unknown.
    """
    recorded = recorded or {}
    attributes: Mapping[str, Mapping[str, Any]] = recorded.get("attributes", {})
    restore(fresh, recorded.get("absent", {}), state)
    vocabulary.restore(fresh, recorded.get("trimmed", {}), state)
    factors.restore(fresh, recorded.get("factored", {}), state)
    tied: Mapping[str, str] = recorded["ties"] if "ties" in recorded else ties(fresh)
    tensors = {**state, **{name: state[kept] for name, kept in tied.items() if kept in state}}
    _check_names(fresh, tensors, attributes)
    modules = dict(fresh.named_modules())
    placed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        place, _, leaf = name.rpartition(".")
        owner = modules[place]
        stored = tied.get(name, name)
        if leaf in owner._parameters:
            fresh_parameter = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
            owner._parameters[leaf] = placed.setdefault(stored, fresh_parameter)
        else:
            owner._buffers[leaf] = placed.setdefault(stored, tensor)
    for name, values in attributes.items():
        for attribute, value in values.items():
            setattr(modules[name], attribute, tuple(value) if isinstance(value, list) else value)


def _numbers(module: nn.Module) -> dict[str, Any]:
    """The public attributes that are a number or a tuple of numbers; switches are not."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and _numeric(value)}


def _numeric(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_numeric(part) for part in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _changed(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in usual or usual[name] != value}


def _check_names(fresh: nn.Module, tensors: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    known = set(fresh.state_dict(keep_vars=True))
    modules = {name for name, _ in fresh.named_modules()}
    parts = [
        f"{what} {_listed(names)}"
        for what, names in (
            ("lacks the tensors", known - set(tensors)),
            ("has the unknown tensors", set(tensors) - known),
            ("has widths of the unknown modules", set(attributes) - modules),
        )
        if names
    ]
    if parts:
        raise InputError(
            f"model: must hold what its configuration describes, but it {' and '.join(parts)}",
            "the files of a model's folder must come from one save",
        )


def _listed(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
