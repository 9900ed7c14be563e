"""The user's own module as the stages want it: made from a configuration, answering by name. Imports torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.tasks.models import factory
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.pretrained import readable_errors

SHOWN = 5


class OwnConfig:
    """What the module is made from again; the counterpart of a transformers configuration."""

    def __init__(self, factory: str, path: str, arguments: Mapping[str, Any]) -> None:
        self.factory, self.path, self.arguments = factory, path, dict(arguments)

    @property
    def num_hidden_layers(self) -> int | None:
        """The factory's argument `layers`, as transformers call it; None where it has none."""
        found: int | None = self.arguments.get("layers")
        return found

    @num_hidden_layers.setter
    def num_hidden_layers(self, count: int) -> None:
        self.arguments["layers"] = count

    def to_dict(self) -> dict[str, Any]:
        """JSON values, which the constructor takes."""
        return {"factory": self.factory, "path": self.path, "arguments": self.arguments}


class Own(nn.Module):
    """Holds the module that a factory made.

    Raises:
        InputError: The factory raises, or returns something else than a module.
    """

    def __init__(self, config: OwnConfig) -> None:
        super().__init__()
        self.config = config
        make = factory.function(config.factory, Path(config.path), "model.factory")
        try:
            made = make(**config.arguments)
        except Exception as error:
            message = f"model.factory: {config.factory!r} must return a module. It raised {type(error).__name__}: "
            raise InputError(message + str(error), "call it yourself with model.arguments") from error
        if not isinstance(made, nn.Module):
            message = f"model.factory: {config.factory!r} must return an nn.Module, got {type(made).__name__}"
            raise InputError(message, "a function that makes the model and returns it")
        self.model = made


class OwnModel(Own):
    """Calls the module that a factory made."""

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The module's scores as `logits`, whether it returns them alone or by that name; of a module with `states`
        each of what it returns by the input that it follows, such as `frames_out`.

        Raises:
            InputError: It returns neither.
        """
        outputs = self.model(**inputs)
        if isinstance(outputs, tuple) and len(outputs) == 1 + len(states := getattr(self.model, "states", ())):
            names = (next(iter(inputs)), *states)
            return {f"{name}_out": output for name, output in zip(names, outputs, strict=True)}
        if isinstance(outputs, torch.Tensor):
            return {"logits": outputs}
        if isinstance(outputs, Mapping) and isinstance(outputs.get("logits"), torch.Tensor):
            return dict(outputs)
        raise InputError(
            f"model: {self.config.factory!r} must make a module that returns a tensor, or 'logits' by name, "
            f"got {type(outputs).__name__}",
            "return the scores of shape [rows, classes]",
        )


def load(given: Factory, make: Callable[[OwnConfig], Own] = OwnModel, told: Mapping[str, Any] | None = None) -> Own:
    """The model that a factory makes, with its weights.

    Args:
        given: The factory.
        make: What calls the module as its task wants it.
        told: Arguments that the task knows, besides the recipe's.

    Raises:
        InputError: The factory takes no such arguments or fails, its module's inputs have other names, or the weights
            are damaged or of another model.
    """
    _check_takes(given, told or {})
    model = make(OwnConfig(given.name, str(given.path), {**given.arguments, **(told or {})}))
    if make is OwnModel:
        _check_called(model.model, given)
    if given.weights is not None:
        from safetensors.torch import load_file

        with readable_errors(given.weights.parent):
            state = load_file(given.weights)
        _check_weights(model.model, state, given.weights)
        # Into the module's own memory: where a mapped file leaves them, weights are not aligned.
        model.model.load_state_dict(state)
    return model


def _check_takes(given: Factory, told: Mapping[str, Any]) -> None:
    """What the task says of its rows is for the factory, too."""
    try:
        signature = inspect.signature(factory.function(given.name, given.path, "model.factory"))
    except ValueError:
        return  # of what is written in C
    takes = signature.parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in takes):
        return
    if lacking := [name for name in told if name not in signature.parameters]:
        raise InputError(
            f"model.factory: {given.name!r} must take {', '.join(lacking)}, which the rows set, got {signature}",
            "another factory; or leave these settings out of data",
        )


def _check_called(module: nn.Module, given: Factory) -> None:
    """Inputs and states are given by name; models of transformers take any names, and read one."""
    takes = inspect.signature(module.forward).parameters
    if any(each.kind is each.VAR_KEYWORD for each in takes.values()):
        read = getattr(module, "main_input_name", None)
        lacking = list(given.inputs) if read in takes and read not in given.inputs else []
    else:
        lacking = [name for name in (*given.inputs, *given.states) if name not in takes]
    if lacking:
        raise InputError(
            f"model.inputs: must be what the module's forward takes by name, {', '.join(takes)}. Got "
            f"{', '.join(lacking)}",
            f"inputs: [{next(iter(takes), 'x')}] beside the factory, or another name in forward",
        )


def _check_weights(module: nn.Module, state: Mapping[str, torch.Tensor], file: Path) -> None:
    wanted = module.state_dict()
    parts = [
        f"{what} {', '.join(sorted(names)[:SHOWN])}" + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        for what, names in (
            ("lacks", wanted.keys() - state.keys()),
            ("has the unknown", state.keys() - wanted.keys()),
            ("has of another shape", {n for n in wanted.keys() & state.keys() if wanted[n].shape != state[n].shape}),
        )
        if names
    ]
    if parts:
        raise InputError(
            f"model.weights: '{file}' must match the factory's module, but it {' and '.join(parts)}",
            "weights of the same class and arguments: save_file(model.state_dict(), …)",
        )
