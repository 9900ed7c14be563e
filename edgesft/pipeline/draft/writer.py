"""Writes the blocks of a recipe, with a comment beside each value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesft.budget.metric import scale
from edgesft.errors import InputError
from edgesft.pipeline.draft.lines import WIDTH, flow, line
from edgesft.pipeline.draft.model import Model
from edgesft.pipeline.draft.reading import reading
from edgesft.pipeline.draft.rows import CARVED, FEWEST, Found
from edgesft.pipeline.draft.wishes import Wishes
from edgesft.spec import auto
from edgesft.spec.hub import PREFIX
from edgesft.stages.registry import KINDS
from edgesft.tasks import registry
from edgesft.tasks.base import TASK_SETTINGS, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.models.factory import Factory

SHOWN = 12
"""Labels that a comment names."""


class Writer:
    """Writes the blocks of a recipe."""

    def __init__(self, wishes: Wishes, found: Found, name: str, model: Model, target: Path) -> None:
        self._wishes, self._found, self._model, self._target = wishes, found, model, target
        self._task: Task = registry.task(found.task)
        told = _about(found)
        self.told = [*([f"data: {told}"] if told else []), f"task: {found.task}"]
        about = model.about or model.problem
        self.told.append(f"model: {name}" + (f" ({about})" if about else ""))

    def path(self, text: str) -> str:
        """A path as the recipe's folder sees it; addresses, variables and full paths to elsewhere stay."""
        place, *part = text.partition("#")
        plain, folder = Path(place), self._target.parent
        if text.startswith((PREFIX, "pkg://", "~", "$")) or not plain.exists():
            return text
        if plain.is_absolute() and not plain.is_relative_to(folder.absolute()):
            return text
        return Path(os.path.relpath(plain, folder)).as_posix() + "".join(part)

    def model(self) -> list[str]:
        """The model and what it is for."""
        written = self._model.written
        if isinstance(written, str):
            return [
                "# A folder, a hub id, pkg://package/path, or {factory: module:function} for your own model.",
                line(f"model: {flow(self.path(written))}", self._model.about),
                f"task: {self._found.task}",
            ]
        if self._model.brought:
            return self._onnx()
        if self._found.task == "arrays" and self._numbers():
            written = {**written, "loss": "mse", "metric": "r2"}
        written = {**written, **self._stateful()}
        if (folder := self.path(".")) != "." and not str(written["factory"]).startswith("edgesft."):
            written = {**written, "path": folder}
        return [line(f"model: {flow(written)}", "a function that returns an nn.Module"), f"task: {self._found.task}"]

    def _stateful(self) -> Mapping[str, Any]:
        """The input and the states of a module that goes from frame to frame, which only the module itself tells."""
        if not isinstance(self._model.place, Factory):
            return {}
        try:
            return self._task.declared(self._model.place)
        except InputError as error:
            told = f"model.states: could not be read from the module: {error.problems[0].message}; write what its"
            self.told.append(f"{told} attribute `states` says, such as states: {{hidden: [2, 128]}}, without the rows")
            return {}

    def _onnx(self) -> list[str]:
        """A file of others, and the order of its classes where nothing around it says that."""
        written: dict[str, Any] = {"onnx": self.path(self._model.written["onnx"])}
        note = "an existing ONNX file: it is measured, compressed and gated, but not trained"
        if self._found.task == "arrays" and self._numbers():
            written["metric"] = "r2"
        elif self._found.labels and not self._model.labels:
            written["labels"] = sorted(self._found.labels)
            note = "EDIT: put the labels in the order of the file's scores"
            self.told.append("model.labels: the file does not give the order of its classes: check it in the recipe")
        return [line(f"model: {flow(written)}", note), f"task: {self._found.task}"]

    def data(self) -> list[str]:
        """Where the rows are, and how they are read."""
        splits = {name: self._placed(place) for name, place in self._splits().items()}
        notes = {
            "train": _about(self._found),
            "validation": "every decision of a run uses these rows" if isinstance(splits["validation"], str | dict)
            else "drawn from train; every decision of a run uses these rows",
            "test": "used only for the report and the verdict",
        }  # fmt: skip
        lines = ["# Paths are relative to this file.", "data:"]
        lines += [line(f"  {name}: {flow(place)}", notes[name]) for name, place in splits.items()]
        if "test" not in splits:
            lines.append("  # test: test.jsonl   # without it, the report and the verdict use the validation rows")
        if columns := self._columns():
            lines.append(line(f"  columns: {flow(columns)}", "role → name of the column"))
        read, told = reading(self._task, self._found, self._model)
        self.told += told
        return [*lines, *read]

    def _columns(self) -> Mapping[str, str]:
        """Those that are called otherwise than the task calls them; all, where its rows may be of another form."""
        usual = set(self._task.roles) <= set(self._found.columns)
        return self._found.renamed if usual else self._found.columns

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

    def budget(self, usual: Mapping[str, Any]) -> list[str]:
        """What must hold: what the person said, else what is typical of the device."""
        drop = {"max_drop": {self._metric: scale(self._metric).allowance}}
        said = dict(self._wishes.budget)
        if "max_drop" in said:
            said["max_drop"] = {self._metric: said["max_drop"]}
        typical = "" if said else "; these are typical for the device: replace them with your own"
        lines = [f"# Limits for the final model; the exit code tells whether it meets them{typical}.", "budget:"]
        chosen = {**usual, **drop} if not said else {**drop, **said}
        notes = {
            "latency_ms": "inconclusive on a machine other than the profile's",
            "latency_ratio": "share of the fine-tuned original's, measured side by side: holds on any machine",
            "size_mb": "10^6 bytes; all files that the device loads",
            "max_drop": "below the fine-tuned original, in the metric's own unit; for a share, 0.01 is one point",
        }
        lines += [line(f"  {name}: {flow(value)}", notes.get(name, "")) for name, value in chosen.items()]
        spare = {"latency_ms": {"p95": 5.0}, "latency_ratio": {"p50": 0.5}, "size_mb": 25, "peak_memory_mb": 200}
        lines += [line(f"  # {name}: {flow(value)}", notes.get(name, ""))
                  for name, value in spare.items() if name not in chosen]  # fmt: skip
        return lines

    def stages(self) -> list[str]:
        """The chain that did best in the project's measurements, written out so that it can be changed."""
        notes = {
            "finetune": "tries several learning rates; `epochs: 3, learning_rate: 5.0e-5` is quicker",
            "prune": "in steps, as long as the metric allows; `latency: 0.5` sets a target",
            "distill": "trains the pruned model, with the fine-tuned original as its teacher",
            "optimize": "rewrites the graph where that is measured to be faster",
            "quantize": "measures int8, int4, fp16 and others; keeps the fastest within the allowance",
        }
        lines = ["# Each stage is kept only if it pays in measured latency or size. Otherwise it is rolled back."]
        if self._answers_already():
            lines.append("# The model already has these labels. Without `finetune` it is used as it is.")
        lines.append("stages:")
        for stage in auto.stages():
            kind = stage.pop("stage")
            if (self._model.brought and "onnx" not in KINDS[kind].takes) or (kind == "prune" and self._task.unprunable):
                continue
            lines.append(line(f"  - stage: {kind}", notes[kind]))
            lines += [f"    {name}: {flow(value)}" for name, value in stage.items() if self._means(name)]
        return lines

    def _means(self, setting: str) -> bool:
        """Whether a setting says anything to the task."""
        needs = "mixup" if setting == "mixed_epochs" else setting
        return needs not in TASK_SETTINGS or needs in self._task.training

    @property
    def _metric(self) -> str:
        return "r2" if self._found.task == "arrays" and self._numbers() else self._task.metrics[0]

    def _numbers(self) -> bool:
        """Whether labels of arrays are numbers to be met, not classes."""
        return isinstance(self._found.rows[0].get("label"), float | list)

    def _answers_already(self) -> bool:
        named = isinstance(self._model.written, str)
        if not isinstance(self._model.place, Path) or not self._found.labels or not named:
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
