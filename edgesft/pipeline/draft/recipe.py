"""A commented recipe from what the data and the model are."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgesft.budget.metric import scale
from edgesft.data.media.medium import look as look_at
from edgesft.errors import InputError
from edgesft.pipeline.draft import model as models
from edgesft.pipeline.draft import rows as data
from edgesft.pipeline.draft.model import Model
from edgesft.pipeline.draft.rows import CARVED, FEWEST, Found, spread
from edgesft.spec import auto, load
from edgesft.spec.hub import PREFIX
from edgesft.tasks import registry
from edgesft.tasks.base import PARTICULAR, Contract, Task

SCHEMA = "recipe.schema.json"
"""Beside the recipe: editors complete and check it by this."""

USUAL = {
    "text-classification": "sentence-transformers/all-MiniLM-L6-v2",
    "token-classification": "distilbert/distilbert-base-cased",
    "question-answering": "distilbert/distilbert-base-cased",
    "multi-task": "sentence-transformers/all-MiniLM-L6-v2",
    "zero-shot-classification": "sentence-transformers/all-MiniLM-L6-v2",
    "image-classification": "google/mobilenet_v2_0.35_96",
}
"""Task → a model of the hub to begin with, where there is one that everybody begins with."""

QUESTION = 384
"""Tokens of a window of a passage: the usual length of BERT's on SQuAD (Devlin et al. 2018)."""

MEASURED, SHOWN = 200, 12
"""Files whose sizes are looked at; labels that a comment names."""

WIDTH = 44
"""Column at which comments begin."""


@dataclass(frozen=True)
class Wishes:
    """What a person says; what is left out is found, or the usual.

    Attributes:
        data: File, folder, archive or address of the rows; several as `head=file`.
        model: Folder, hub id, `pkg://` address, or `module:function`.
        task: Name of the task.
        validation: File, or a share of the training rows.
        test: File, or a share of the training rows.
        columns: Role → column.
        profile: Name or file of the device.
        budget: Lines of the budget, as a recipe writes them.
    """

    data: Sequence[str]
    model: str | None = None
    task: str | None = None
    validation: str | None = None
    test: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A recipe to be written.

    Attributes:
        text: What the file holds.
        told: What was found of data and model, and what is left open, a line each.
    """

    text: str
    told: tuple[str, ...]


def usual_profile() -> str:
    """The profile that means one thread of this machine."""
    return "x86-1-thread" if platform.machine().lower() in ("x86_64", "amd64") else "this-machine"


def draft(wishes: Wishes, target: Path, found: Found | None = None) -> Draft:
    """The recipe for what a person has.

    Args:
        wishes: What is known; paths start from the folder that one is in.
        target: File that the recipe goes to, whose folder its paths start from.
        found: What the data are, where they were looked at already.

    Raises:
        InputError: Data or model cannot be read, or fit no task.
    """
    here = Path()
    found = found or data.look(wishes.data, here, wishes.task, wishes.columns)
    name = wishes.model or USUAL.get(found.task)
    if name is None:
        hint = "--model FOLDER, or --model module:function for one of your own"
        raise InputError(f"--model must be given for {found.task}: there is no model that everybody begins with", hint)
    inputs = [role for role in found.columns if role != "label"] if found.task == "arrays" else ["x"]
    model = models.look(name, here, inputs)
    profile = load.profile(wishes.profile or usual_profile())
    writer = _Writer(wishes, found, model, target)
    lines = [
        f"# {found.task}: what `edgesft init` made of {' '.join(wishes.data)}",
        f"# Start with:  edgesft run {target.name}      (edgesft plan {target.name}: what it will do)",
        f"# yaml-language-server: $schema={SCHEMA}",
        "version: 1",
        "",
        *writer.model(),
        "",
        *writer.data(),
        "",
        "# Where the model will run: `edgesft profiles` lists the devices; a list gives a verdict each.",
        _line(f"profile: {writer.path(wishes.profile) if wishes.profile else profile.name}", profile.description),
        "",
        *writer.budget(profile.budget.model_dump(exclude_defaults=True)),
        "",
        *writer.stages(),
        "",
        "seed: 0",
    ]
    return Draft("\n".join(lines) + "\n", tuple(writer.told))


class _Writer:
    """Writes the blocks of a recipe."""

    def __init__(self, wishes: Wishes, found: Found, model: Model, target: Path) -> None:
        self._wishes, self._found, self._model, self._target = wishes, found, model, target
        self._task: Task = registry.task(found.task)
        self.told = [f"data: {_about(found)}", f"task: {found.task}"]
        about = model.about or model.problem
        self.told.append(f"model: {wishes.model or USUAL[found.task]}" + (f" ({about})" if about else ""))

    def path(self, text: str) -> str:
        """A path as the recipe's folder sees it; addresses, variables and full paths to elsewhere stay."""
        plain, folder = Path(text.partition("#")[0]), self._target.parent
        if text.startswith((PREFIX, "pkg://", "~", "$")) or not plain.exists():
            return text
        if plain.is_absolute() and not plain.is_relative_to(folder.absolute()):
            return text
        return Path(os.path.relpath(plain, folder)).as_posix() + text.removeprefix(str(plain))

    def model(self) -> list[str]:
        """The model and what it is for."""
        written = self._model.written
        if isinstance(written, str):
            return [
                "# A folder, a hub id, pkg://package/path, or {factory: module:function} for a model of your own.",
                _line(f"model: {_flow(self.path(written))}", self._model.about),
                f"task: {self._found.task}",
            ]
        if self._found.task == "arrays" and self._numbers():
            written = {**written, "loss": "mse", "metric": "r2"}
        if (folder := self.path(".")) != ".":
            written = {**written, "path": folder}
        return [_line(f"model: {_flow(written)}", "a function that returns an nn.Module"), f"task: {self._found.task}"]

    def data(self) -> list[str]:
        """Where the rows are, and how they are read."""
        splits = {name: self._placed(place) for name, place in self._splits().items()}
        notes = {
            "train": _about(self._found),
            "validation": "every decision is taken on these rows" if isinstance(splits["validation"], str | dict)
            else "carved from train; every decision is taken on these rows",
            "test": "read only for the report and the verdict",
        }  # fmt: skip
        lines = ["# Paths are relative to this file.", "data:"]
        lines += [_line(f"  {name}: {_flow(place)}", notes[name]) for name, place in splits.items()]
        if "test" not in splits:
            lines.append("  # test: test.jsonl   # without it, the report and the verdict are of the validation rows")
        if self._found.renamed:
            lines.append(_line(f"  columns: {_flow(self._found.renamed)}", "what the task reads → what it is called"))
        return [*lines, *self._reading()]

    def _splits(self) -> dict[str, Any]:
        splits: dict[str, Any] = {"train": self._found.splits["train"]}
        splits["validation"] = _share(self._wishes.validation) or self._found.splits.get("validation", CARVED)
        test = _share(self._wishes.test) or self._found.splits.get("test")
        if test is None and (self._found.count or 0) >= FEWEST:
            test = CARVED
        return splits if test is None else {**splits, "test": test}

    def _placed(self, place: Any) -> Any:
        if isinstance(place, Mapping):
            return {head: self.path(file) for head, file in place.items()}
        return self.path(place) if isinstance(place, str) else place

    def _reading(self) -> list[str]:
        """How long inputs are: what a device's time hangs on most."""
        medium = self._task.medium
        if medium is not None:
            return self._media()
        if self._found.task == "arrays":
            return []
        lengths = self._model.tokens([self._task.text(row) for row in spread(self._found.rows)])
        if not lengths:
            return [_line("  max_length: 128", "tokens; longer texts are cut")]
        if self._found.task == "question-answering":
            most = min(QUESTION, self._model.longest or QUESTION)
            return [_line(f"  max_length: {most}", "tokens of a window; longer passages are read in several")]
        chosen = models.longest(lengths, self._model.longest)
        cut = sum(each > chosen for each in lengths) / len(lengths)
        note = f"tokens; {cut:.1%} of the texts are longer and are cut (half have at most {lengths[len(lengths) // 2]})"
        self.told.append(f"data.max_length: {chosen} {note}")
        return [_line(f"  max_length: {chosen}", note)]

    def _media(self) -> list[str]:
        """How files are read by a model of one's own; one of transformers says so itself."""
        if not self._model.own:
            return []
        medium = self._task.medium
        if medium is None:
            return []
        seen = look_at(medium, spread(self._found.rows, MEASURED)).seen
        values = {kind: [value for (each, value), _ in sorted(seen.items(), key=lambda item: -item[1]) if each == kind]
                  for kind, _ in seen}  # fmt: skip
        if medium.role == "image":
            sides = [int(side) for side in values["size"][0].split("x")]
            return [_line(f"  image: {{resize: {sides}}}", f"[height, width]; {len(values['size'])} sizes were seen")]
        seconds = max(map(float, values["seconds"]))
        note = f"the longest of {min(len(self._found.rows), MEASURED)} sounds has {seconds:g} s"
        return [_line(f"  audio: {{rate: {values['rate'][0]}, seconds: {seconds:g}}}", note)]

    def budget(self, usual: Mapping[str, Any]) -> list[str]:
        """What must hold: what the person said, else what is typical of the device."""
        drop = {"max_drop": {self._metric: scale(self._metric).allowance}}
        said = dict(self._wishes.budget)
        if "max_drop" in said:
            said["max_drop"] = {self._metric: said["max_drop"]}
        typical = "" if said else "; these are typical of the device: put in your own"
        lines = [f"# What must hold of the final model; the exit code says whether it does{typical}.", "budget:"]
        chosen = {**usual, **drop} if not said else {**drop, **said}
        notes = {
            "latency_ms": "binds on the profile's own machine",
            "latency_ratio": "of the fine-tuned original's, side by side: binds on any machine",
            "size_mb": "10^6 bytes of every file that the device loads",
            "max_drop": "below the fine-tuned original, in the metric's own unit: 0.01 of a share is one point",
        }
        lines += [_line(f"  {name}: {_flow(value)}", notes.get(name, "")) for name, value in chosen.items()]
        spare = {"latency_ms": {"p95": 5.0}, "latency_ratio": {"p50": 0.5}, "size_mb": 25, "peak_memory_mb": 200}
        lines += [_line(f"  # {name}: {_flow(value)}", notes.get(name, ""))
                  for name, value in spare.items() if name not in chosen]  # fmt: skip
        return lines

    def stages(self) -> list[str]:
        """The chain that did best in the project's measurements, written out so that it can be changed."""
        notes = {
            "finetune": "tries several learning rates; `epochs: 3, learning_rate: 5.0e-5` is quicker",
            "prune": "in steps, as far as the metric holds; `latency: 0.5` says how far",
            "distill": "the fine-tuned original teaches what is left",
            "optimize": "writes the graph as it runs fastest here",
            "quantize": "measures int8, int4 and fp16; keeps the fastest that holds",
        }
        lines = ["# Each stage is kept only if it pays in measured latency or size, else it is rolled back."]
        if self._answers_already():
            lines.append("# The model already answers with these labels: without `finetune` it is taken as it is.")
        lines.append("stages:")
        for stage in auto.stages():
            kind = stage.pop("stage")
            lines.append(_line(f"  - stage: {kind}", notes[kind]))
            lines += [f"    {name}: {_flow(value)}" for name, value in stage.items() if self._means(name)]
        return lines

    def _means(self, setting: str) -> bool:
        """Whether a setting says anything to the task."""
        return setting not in PARTICULAR or setting in self._task.training

    @property
    def _metric(self) -> str:
        return "r2" if self._found.task == "arrays" and self._numbers() else self._task.metrics[0]

    def _numbers(self) -> bool:
        """Whether labels of arrays are numbers to be met, not classes."""
        return isinstance(self._found.rows[0].get("label"), float | list)

    def _answers_already(self) -> bool:
        if not isinstance(self._model.place, Path) or not self._found.labels or self._model.own:
            return False
        contract = Contract(self._found.task, tuple(sorted(self._found.labels)))
        return not self._task.check_head(self._model.place, contract)


def _about(found: Found) -> str:
    told = [f"{found.count:,} rows"] if found.count is not None else []
    if found.task in ("arrays",) or not found.labels:
        return ", ".join(told)
    counts = found.labels
    fewest, most = min(counts.values()), max(counts.values())
    if len(counts) <= SHOWN and sum(map(len, counts)) < WIDTH:
        told.append(", ".join(f"{label} {count:,}" for label, count in sorted(counts.items())))
    else:
        told.append(f"{len(counts)} labels of {fewest:,}{f' to {most:,}' if most > fewest else ''} rows")
    return "; ".join(told)


def _share(text: str | None) -> Any:
    """A share of the training rows, or a file."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _line(text: str, comment: str = "") -> str:
    return f"{text:<{WIDTH - 2}}  # {comment}" if comment else text
