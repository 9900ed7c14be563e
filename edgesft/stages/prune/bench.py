"""The latency that a pruning plan buys: the cut model's export, timed beside that of the stage's input."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.data.files import sha256
from edgesft.spec.stages import Precision, PruneSpec
from edgesft.stages.context import StageContext
from edgesft.stages.export import export_onnx
from edgesft.stages.optimize import rewritten
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.costs import Sizes, kinds
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import PrunePlan, make_plan
from edgesft.stages.prune.search import Point
from edgesft.stages.prune.sizes import measured
from edgesft.stages.quantize import trial
from edgesft.store.store import remember
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import factory
from edgesft.tasks.models.own import OwnConfig
from edgesft.train.answers import Answers

PRECISION = "precision.json"
"""In the work folder."""

TABLE_VERSION = 5
"""Raised when the table holds something else."""


UNRELATED = ("_name_or_path", "transformers_version", "id2label", "label2id", "dtype", "torch_dtype", "path")
"""Of a configuration what does not decide how fast a model is."""


@dataclass(frozen=True)
class Bench:
    """Measures candidates against the stage's input, all exported alike. Weights do not matter: nothing is trained.

    Attributes:
        spec: Says the precision of the exports.
        model: The stage's input; stays as it is.
        sample: A small batch of its inputs.
        layout: Its widths that may shrink.
        contract: Of the model.
        context: Measures; exports lie in its work folder while they are measured.
        known: The teacher's answers, of which every recovery asks the same.
    """

    spec: PruneSpec
    model: nn.Module
    sample: dict[str, torch.Tensor]
    layout: Layout
    contract: Contract
    context: StageContext
    known: Answers = field(default_factory=Answers)

    def precise(self) -> Bench:
        """Itself with `precision: auto` decided by the input: int8 where that is faster."""
        work, asked = self.context.work, self.spec.precision

        def found() -> Precision:
            return trial.settled(asked, lambda: self._float(self.model, "input"), work / "int8.onnx", self.context)

        precision = remember(work / PRECISION, found)
        return replace(self, spec=self.spec.model_copy(update={"precision": precision}))

    def measure(self, sizes: Sizes) -> Point:
        """Times the input with its widths cut to these sizes beside the input."""
        (input_ns, candidate_ns), plan = self._latencies([sizes])
        point = Point(dict(sizes), input_ns, candidate_ns)
        self.context.progress.say(f"prune: {plan.summary()} runs in {point.ratio:.3f} of the input's latency")
        return point

    def whole(self) -> int:
        """p50 of the input in nanoseconds."""
        return int(self.context.latency([self._input])[0])

    def beside(self, original: Path) -> list[int]:
        """p50 in nanoseconds of another ONNX file and of the input, interleaved."""
        return list(self.context.latency([original, self._input]))

    def table(self, allowed: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Shares of the input's latency, for `costs.Latency`.

        Measured once for a machine, a profile, rows and an architecture, whatever the weights are.

        Returns:
            `kinds`: with all widths of a class at a size, for some of their allowed sizes; `least`: with all blocks at
            their least ones.
        """
        classes = kinds(self.layout.widths, self.layout)
        facts = {
            "kind": "prune-latency",
            "version": TABLE_VERSION,
            "model": named(self.model),
            "shapes": {name: list(shape) for name, shape in self.layout.shapes.items()},
            "sizes": {name: measured(allowed[widths[0].name]) for name, widths in classes.items()},
            "precision": self.spec.precision,
            "optimized": self.spec.optimized,
            "opset": self.context.profile.opset,
        }
        found: dict[str, Any] = self.context.record(facts, lambda: self._table(allowed))
        return found

    def _table(self, allowed: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        classes, table = kinds(self.layout.widths, self.layout), dict[str, dict[str, float]]()
        with self.context.progress.bar("prune: latency of each width", len(classes)) as advance:
            for name, widths in classes.items():
                full, *sizes = measured(allowed[widths[0].name])
                candidates = [{width.name: size for width in widths} for size in sizes]
                times, _ = self._latencies(candidates)
                table[name] = {str(size): time / times[0] for size, time in zip((full, *sizes), times, strict=True)}
                advance()
        blocks = [width.name for width in self.layout.widths if width.kind != "hidden"]
        (whole, least), _ = self._latencies([{name: allowed[name][-1] for name in blocks}])
        return {"kinds": table, "least": least / whole}

    def _latencies(self, candidates: Sequence[Sizes]) -> tuple[list[int], PrunePlan]:
        """p50 of the input and of each candidate in nanoseconds, interleaved; and the plan of the last one."""
        scores = {width.name: np.zeros(width.size) for width in self.layout.widths}
        places, plan = [self._input], make_plan(self.layout, {}, scores)
        for number, sizes in enumerate(candidates):
            candidate = copy.deepcopy(self.model)
            plan = make_plan(self.layout, sizes, scores)
            apply_plan(candidate, plan, self.sample, self.context.task.logits)
            places.append(self._export(candidate, f"candidate-{number}"))
        times = [int(time) for time in self.context.latency(places)]
        for place in places[1:]:
            shutil.rmtree(place.parent)
        return times, plan

    @cached_property
    def _input(self) -> Path:
        return self._export(self.model, f"input-{self.spec.precision}")

    def _export(self, model: nn.Module, name: str) -> Path:
        place = self._float(model, name)
        return trial.quantized(place, place.with_name("int8.onnx"), self.spec.precision, self.context)

    def _float(self, model: nn.Module, name: str) -> Path:
        context, folder = self.context, self.context.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        export_onnx(
            model,
            context.task,
            context.processor,
            context.validation,
            self.contract,
            folder,
            opset=context.profile.opset,
        )
        place = folder / "model.onnx"
        if self.spec.optimized:
            rewritten(place, folder / "optimized.onnx")
            place = folder / "optimized.onnx"
        return place


def named(model: nn.Module) -> dict[str, Any]:
    """What tells a model's architecture besides the shapes of its parameters: its class and configuration, and of one
    that a factory made the digest of the module's file. Strides, say, are nowhere else.
    """
    config = getattr(model, "config", None)
    if config is None:
        return {"class": type(model).__name__}
    told = json.loads(json.dumps(config.to_dict(), default=str))
    facts = {name: value for name, value in told.items() if name not in UNRELATED}
    if isinstance(config, OwnConfig):
        file = factory.module_file(config.factory, Path(config.path), "model.factory")
        facts["file"] = sha256(file)
    return {"class": type(model).__name__, **facts}
