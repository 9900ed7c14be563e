"""What a plan buys: the latency of the cut model's export beside that of its input's."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from edgesft.spec.stages import PruneSpec
from edgesft.stages.context import StageContext
from edgesft.stages.export import export_onnx
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import Removal, make_plan
from edgesft.stages.prune.search import Point
from edgesft.stages.quantize import dynamic
from edgesft.tasks.base import Contract


@dataclass(frozen=True)
class Bench:
    """Measures candidates against the stage's input, both exported alike. Weights do not matter: nothing is trained.

    Attributes:
        spec: Says the precision of the exports.
        model: The stage's input; stays as it is.
        sample: A small batch of its inputs.
        layout: The widths that may shrink.
        order: The removals that candidates are prefixes of.
        contract: Of the model.
        context: Measures; exports lie in its work folder while they are measured.
    """

    spec: PruneSpec
    model: nn.Module
    sample: dict[str, torch.Tensor]
    layout: Layout
    order: Sequence[Removal]
    contract: Contract
    context: StageContext

    def measure(self, steps: int) -> Point:
        """Exports the model with so many removals and times it beside the input."""
        candidate = copy.deepcopy(self.model)
        plan = make_plan(self.layout, self.order[:steps])
        apply_plan(candidate, plan, self.sample, self.context.task.logits)
        place = self._export(candidate, f"candidate-{steps}")
        input_ns, candidate_ns = self.context.latency([self._input, place])
        shutil.rmtree(place.parent)
        point = Point(steps, int(input_ns), int(candidate_ns))
        self.context.progress.say(f"prune: {plan.summary()} runs in {point.ratio:.3f} of the input's latency")
        return point

    @cached_property
    def _input(self) -> Path:
        return self._export(self.model, "input")

    def _export(self, model: nn.Module, name: str) -> Path:
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
        if self.spec.precision == "fp32":
            return place
        quantized = folder / "int8.onnx"
        dynamic(place, quantized)
        return quantized
