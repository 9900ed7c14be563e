"""The input of a gate: a model file, or a run's folder with the run's results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesft.budget.percentile import Interval
from edgesft.errors import InputError
from edgesft.measure.model.file import inspect
from edgesft.spec import document
from edgesft.spec.document import Document
from edgesft.spec.problems import problems
from edgesft.stages.artefact import CONTRACT
from edgesft.tasks import registry
from edgesft.tasks.contract import Contract

RESULTS, RECIPE = "results.json", "recipe.yaml"

SCHEMA, SCHEMA_VERSION = "edgesft/results", 1
"""Of the `results.json` that is read (`report.results` writes it)."""

MODELS = (".onnx", ".ort")

BESIDE = (RESULTS, RECIPE, "log.txt", "report.html")
"""What a run leaves that no device loads."""

SHOWN = 8
"""Files of a folder that a message names."""

UNCHANGED = Interval(0.0, 0.0, 0.0)
"""How far a metric of the original lies below itself; whatever else did not fall may still do so on other rows."""


class _Read(BaseModel):
    """Part of a file that is read here; what else stands there does not matter."""

    model_config = ConfigDict(strict=True)


class _Stage(_Read):
    kept: bool
    size_bytes: int = Field(gt=0)
    metrics: dict[str, dict[str, float]] = {}
    levels: dict[str, Interval] = {}
    drops: dict[str, Interval] = {}


class _Results(_Read):
    stages: list[_Stage]
    split: Literal["test", "validation"] = "test"
    model_sha256: str | None = None

    @cached_property
    def kept(self) -> list[_Stage]:
        """The stages that the model went through."""
        return [stage for stage in self.stages if stage.kept]


class _Contract(_Read):
    task: str
    labels: list[str]
    options: dict[str, Any]


R = TypeVar("R", bound=_Read)


@dataclass(frozen=True)
class GateArtefact:
    """What stands on the command line.

    Attributes:
        name: Of the file; of a run.
        model: ONNX or ORT file.
        folder: That it was left in with what belongs to it; None where only the file was named.
        contract: What device code must know besides, where the folder has it.
        results: What the run found, where the folder has it; it is of this very model.
        recipe: That the run carried out, where the folder has it.
    """

    name: str
    model: Path
    folder: Path | None = None
    contract: Contract | None = None
    results: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that it has or its task takes; empty where neither is known."""
        taken: tuple[str, ...] = ()
        if self.contract and self.contract.task in registry.TASKS:
            taken = registry.of_contract(self.contract).metrics
        return tuple(dict.fromkeys((*recorded_metrics(self), *taken)))

    @property
    def size_bytes(self) -> int | None:
        """Bytes of every file that the device loads, the tokenizer's included, where a run recorded them."""
        return self.kept[-1].size_bytes if self.kept else None

    @property
    def original_size_bytes(self) -> int | None:
        """The same of the original, which is the last stage of which it is certain that no metric fell."""
        same = [stage for stage in self.kept if set(stage.drops.values()) == {UNCHANGED}]
        return (same or self.kept)[-1 if same else 0].size_bytes if self.kept else None

    @cached_property
    def kept(self) -> list[_Stage]:
        """The stages of the run that the model went through; empty without results."""
        return _Results.model_validate(self.results).kept if self.results is not None else []


def artefact(path: Path) -> GateArtefact:
    """What a path on the command line means.

    Args:
        path: An .onnx or .ort file, or a folder with one.

    Raises:
        InputError: There is no such thing, the folder has no model or several, or what lies beside the model is
            damaged, of a newer edgesft or of another model.
    """
    if not path.is_dir():
        if not path.is_file():
            inspect(path)
        return GateArtefact(path.name, path)
    model = _model(path)
    contract = _contract(path / CONTRACT) if (path / CONTRACT).is_file() else None
    recipe = document.read(path / RECIPE).data if (path / RECIPE).is_file() else None
    results = _results(path, model) if (path / RESULTS).is_file() else None
    return GateArtefact(_name(path, recipe, results), model, path, contract, results, recipe)


def recorded_metrics(given: GateArtefact) -> dict[str, Interval]:
    """The metrics that the run found, with bounds where it took some; empty without results."""
    if not given.kept or given.results is None:
        return {}
    last = given.kept[-1]
    scores = last.metrics.get(given.results.get("split", "test"), {})
    return {**{name: Interval(value, None, None) for name, value in scores.items()}, **last.levels}


def recorded_drops(given: GateArtefact) -> dict[str, Interval]:
    """How far the run found each metric below the original's, with bounds; empty without results."""
    return dict(given.kept[-1].drops) if given.kept else {}


def _model(folder: Path) -> Path:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    models = [entry for entry in entries if entry.suffix in MODELS and entry.is_file()]
    if len(models) == 1:
        return models[0]
    if (main := folder / "model.onnx") in models and (folder / RESULTS).is_file():
        return main  # Of a run whose model has graphs beside it.
    if models:
        got = ", ".join(model.name for model in models)
        raise InputError(f"'{folder}' must hold one model, got {got}", f"name the file: '{models[0]}'")
    inside = [entry for entry in entries if entry.is_dir() and any((entry / f"model{end}").is_file() for end in MODELS)]
    if inside:
        got = ", ".join(entry.name for entry in inside)
        message = f"'{folder}' must hold a model, got a run on several profiles: {got}"
        raise InputError(message, f"name one of them: '{inside[0]}'")
    got = ", ".join(entry.name for entry in entries[:SHOWN]) or "an empty folder"
    more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    raise InputError(f"'{folder}' must hold an .onnx or .ort file, got {got}{more}", "the folder that a run left")


def _name(folder: Path, recipe: Mapping[str, Any] | None, results: Mapping[str, Any] | None) -> str:
    """The run's name: the recipe's, or that of its folder, which for one of several profiles is the one above."""
    if recipe and isinstance(recipe.get("name"), str):
        return str(recipe["name"])
    whole = folder.resolve()
    if recipe and results and isinstance(recipe.get("profile"), list) and whole.name == results.get("profile"):
        return whole.parent.name
    return whole.name


def _contract(path: Path) -> Contract:
    data = _json(path)
    _read(path, data, _Contract)
    return Contract.from_json(data)


def _results(folder: Path, model: Path) -> Mapping[str, Any]:
    """The results, if they are of this model."""
    path = folder / RESULTS
    data = _json(path)
    if data.get("schema") != SCHEMA:
        raise InputError(
            f"schema of '{path}' must be '{SCHEMA}', got {data.get('schema')!r}",
            "the results.json that a run left; what other commands write belongs into other folders",
        )
    told = data.get("schema_version")
    if type(told) is not int or told < 1:
        raise InputError(f"schema_version of '{path}' must be a whole number from 1 on, got {told!r}")
    if told > SCHEMA_VERSION:
        message = f"schema_version of '{path}' must be at most {SCHEMA_VERSION} for this edgesft, got {told}"
        raise InputError(message, "pip install --upgrade edgesft")
    found = _read(path, data, _Results)
    if not found.kept:
        raise InputError(f"'{path}' must have a stage that was kept, got {len(found.stages)} that were not")
    if difference := _difference(folder, model, found):
        hint = f"run the recipe again, or name the file alone: '{model}'"
        raise InputError(f"'{path}' is of another model: {difference}", hint)
    return data


def _difference(folder: Path, model: Path, found: _Results) -> str | None:
    """How the model differs from that of the results, by its digest; early ones lack it and tell only bytes."""
    if found.model_sha256 is not None:
        digest = inspect(model).sha256
        told = f"one of sha256 {found.model_sha256[:12]}…, where '{model.name}' has {digest[:12]}…"
        return None if found.model_sha256 == digest else told
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    size, wanted = sum(file.stat().st_size for file in files if file.name not in BESIDE), found.kept[-1].size_bytes
    told = f"one of {wanted} bytes with all that the device loads, where the files beside it have {size}"
    return None if size == wanted else told


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        got = f"{error.msg} in line {error.lineno}, column {error.colno}: it is cut short or damaged"
        raise InputError(f"'{path}' must be whole JSON, got {got}", "copy it again") from None
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' must be UTF-8, got byte {error.object[error.start]:#x}", "copy it again") from None
    except OSError as error:
        raise InputError(f"'{path}' must be a file that can be read, got: {error.strerror}") from None
    if not isinstance(data, dict):
        raise InputError(f"'{path}' must be a JSON object, got {type(data).__name__}", "copy it again")
    return data


def _read(path: Path, data: dict[str, Any], schema: type[R]) -> R:
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise InputError(problems(error, Document(str(path), data), schema)) from None
