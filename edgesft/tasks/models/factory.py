"""A model of the user's own: a Python function that makes it, and the file of its weights."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesft.data import files
from edgesft.data.files import sha256
from edgesft.errors import InputError, Problem
from edgesft.spec.model import FactorySpec
from edgesft.tasks.models import checkpoint

WHERE = "module:function, the module lying in the recipe's folder or being installed"

_LOADED: dict[str, Path] = {}


@dataclass(frozen=True)
class Factory:
    """What makes a model.

    Attributes:
        name: `module:function`.
        path: Folder that the module is imported from, before those that Python knows.
        arguments: Keyword arguments of the function; JSON values.
        weights: Its weights as safetensors; None keeps those that the function gives it.
        inputs: Names of its inputs.
        states: Name of each state → its shape without the rows' axis.
        loss: What it is trained by, where the task leaves that open.
        metric: What decides, where the task leaves that open.
    """

    name: str
    path: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    inputs: tuple[str, ...] = ("x",)
    loss: str = "auto"
    metric: str = "accuracy"
    states: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def digest(self) -> str:
        """Of the module's file, the arguments and the weights; what the module imports is not part of it."""
        facts = [self.name, dict(self.arguments), sha256(self.file())]
        if self.weights:
            facts.append(sha256(self.weights))
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def file(self) -> Path:
        """The module's file; it is not run.

        Raises:
            InputError: There is no such module.
        """
        return module_file(self.name, self.path, "model.factory")

    def problems(self) -> list[Problem]:
        """What is wrong with it as far as its files tell."""
        try:
            self.file()
        except InputError as error:
            return list(error.problems)
        if self.weights is None:
            return []
        found = checkpoint.tensor_shapes(self.weights)
        return [found] if isinstance(found, Problem) else []


def resolve(spec: FactorySpec, base: Path) -> Factory:
    """The factory that a recipe means, its paths taken from the recipe's folder.

    Raises:
        InputError: The file of weights is not there.
    """
    weights = files.place(spec.weights, base) if spec.weights else None
    if weights and (problem := files.missing(weights, "model.weights")):
        raise InputError(problem)
    path = files.place(spec.path, base) if spec.path else base
    rest = (spec.inputs, spec.loss, spec.metric, spec.states)
    return Factory(spec.factory, path.absolute(), spec.arguments, weights, *rest)


def module_file(name: str, path: Path, field: str) -> Path:
    """The file of the module that `module:function` names; it is not run.

    Args:
        name: What the recipe says.
        path: Folder that is looked at first.
        field: Of the recipe.

    Raises:
        InputError: There is no such module.
    """
    module = name.partition(":")[0]
    with _importing(path):
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise InputError(f"{field}: must name a module, got {module!r}, which is not found", WHERE)
    return Path(spec.origin)


def function(name: str, path: Path, field: str) -> Callable[..., Any]:
    """The function that `module:function` names; the module is run.

    Args:
        name: What the recipe says.
        path: Folder that is looked at first.
        field: Of the recipe.

    Raises:
        InputError: There is no such module or function, or running the module fails.
    """
    file = module_file(name, path, field)
    module, _, attribute = name.partition(":")
    with _importing(path):
        loaded = sys.modules.get(module)
        if loaded is not None and getattr(loaded, "__file__", None) != str(file):
            del sys.modules[module]  # Another recipe's module of the same name.
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except Exception as error:
            raise InputError(f"{field}: '{file}' must run. Got {type(error).__name__}: {error}") from error
    _LOADED[name] = path
    if not callable(found):
        raise InputError(f"{field}: '{file}' must have a function {attribute!r}, got none", WHERE)
    return found  # type: ignore[no-any-return]


def loaded() -> dict[str, Path]:
    """The functions that this process has imported so far, each `module:function` with the folder looked at first.

    Another process imports them before it is given objects of their modules.
    """
    return dict(_LOADED)


@contextmanager
def _importing(path: Path) -> Iterator[None]:
    """Modules of the folder come first inside, those that they import later included."""
    place = str(path)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(place)
