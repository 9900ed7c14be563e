"""The user's own module as the stages want it: made from a configuration, answering by name. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.tasks import factory
from edgesft.tasks.factory import Factory
from edgesft.tasks.pretrained import readable_errors

SHOWN = 5


class OwnConfig:
    """What the module is made from again; the counterpart of a transformers configuration."""

    def __init__(self, factory: str, path: str, arguments: Mapping[str, Any]) -> None:
        self.factory, self.path, self.arguments = factory, path, dict(arguments)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, which the constructor takes."""
        return {"factory": self.factory, "path": self.path, "arguments": self.arguments}


class OwnModel(nn.Module):
    """Calls the module that a factory made.

    Raises:
        InputError: The factory raises, or returns something else than a module.
    """

    def __init__(self, config: OwnConfig, answers: Sequence[str] = ("logits",)) -> None:
        """Makes the module.

        Args:
            config: What from.
            answers: What it must answer by name; a tensor alone is the first of them.
        """
        super().__init__()
        self.config, self.answers = config, tuple(answers)
        make = factory.function(config.factory, Path(config.path), "model.factory")
        try:
            made = make(**config.arguments)
        except Exception as error:
            message = f"model.factory: {config.factory!r} must return a module. It raised {type(error).__name__}: "
            raise InputError(message + str(error), "call it by hand with the arguments of model.arguments") from error
        if not isinstance(made, nn.Module):
            message = f"model.factory: {config.factory!r} must return an nn.Module, got {type(made).__name__}"
            raise InputError(message, "a function that makes the model and returns it")
        self.model = made

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The module's answers by name, and a tensor that it returns alone by the only name there is; of a module with
        `states` each of what it returns by the input that it follows, such as `frames_out`.

        Raises:
            InputError: It returns neither.
        """
        outputs = self.model(**inputs)
        if isinstance(outputs, tuple) and len(outputs) == 1 + len(states := getattr(self.model, "states", ())):
            names = (next(iter(inputs)), *states)
            return {f"{name}_out": output for name, output in zip(names, outputs, strict=True)}
        if isinstance(outputs, torch.Tensor) and len(self.answers) == 1:
            return {self.answers[0]: outputs}
        if isinstance(outputs, Mapping) and all(isinstance(outputs.get(each), torch.Tensor) for each in self.answers):
            return dict(outputs)
        alone = "a tensor, or " if len(self.answers) == 1 else ""
        wanted = " and ".join(map(repr, self.answers))
        got = ", ".join(map(str, outputs)) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise InputError(
            f"model: {self.config.factory!r} must make a module that returns {alone}{wanted} by name, got {got}",
            "return the scores of shape [rows, classes]" if alone else "the task says of which shapes",
        )


def load(given: Factory, answers: Sequence[str] = ("logits",)) -> OwnModel:
    """The model that a factory makes, with its weights.

    Args:
        given: The factory.
        answers: What the model must answer by name.

    Raises:
        InputError: The factory fails, or the weights are damaged or of another model.
    """
    model = OwnModel(OwnConfig(given.name, str(given.path), given.arguments), answers)
    if given.weights is not None:
        from safetensors.torch import load_file

        with readable_errors(given.weights.parent):
            state = load_file(given.weights)
        _check_weights(model.model, state, given.weights)
        # Into the module's own memory: where a mapped file leaves them, weights are not aligned.
        model.model.load_state_dict(state)
    return model


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
            f"model.weights: '{file}' must hold what the factory's module has, but it {' and '.join(parts)}",
            "weights of the same class and arguments: save_file(model.state_dict(), …)",
        )
