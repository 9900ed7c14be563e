"""A small model with rows and a context, for stages that work on ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec, ProviderSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext
from edgesft.stages.export import export_onnx
from edgesft.tasks.base import Example, Graph
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_classification import TextClassification
from edgesft.train import checkpoint
from tests import tiny

CONTRACT = Contract("text-classification", ("negative", "positive"), {"max_length": 32})
TASK = TextClassification()


@dataclass(frozen=True)
class Small:
    """A tiny classifier whose weights are all at random, so that no two of them are equal and all matter."""

    model: nn.Module
    processor: Any
    rows: list[Example]

    def graph(self) -> Graph:
        """Its one graph."""
        return TASK.graphs(self.model, self.processor, self.rows[:2])[0]

    def save(self, folder: Path) -> Artefact:
        """The torch artefact."""
        checkpoint.save(self.model, folder, self.processor, CONTRACT)
        return Artefact("torch", folder, "torch-key")

    def export(self, folder: Path, *, origin: Artefact | None = None, opset: int = 20) -> Artefact:
        """The ONNX artefact."""
        export_onnx(self.model, TASK, self.processor, self.rows, CONTRACT, folder, opset=opset)
        return Artefact("onnx", folder, "onnx-key", origin)


def small(bert: Path, count: int = 24) -> Small:
    """The classifier on the tiny encoder, its tokenizer and encoded rows."""
    torch.manual_seed(0)
    model = TASK.load_model(bert, CONTRACT).eval()
    model.set_attn_implementation("eager")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    processor = TASK.load_processor(bert, CONTRACT)
    return Small(model, processor, TASK.encode(tiny.rows(count), processor, CONTRACT))


def _absent(*_: Any) -> Any:
    raise AssertionError("must not be asked")


def context(
    work: Path,
    of: Small,
    *,
    latency: Callable[[Sequence[Path]], list[int]] = _absent,
    evaluate: Callable[[Path], dict[str, float]] = _absent,
    reference: Artefact | None = None,
    allowance: float = 0.01,
    **profile: Any,
) -> StageContext:
    """Surroundings of a step; latency and evaluate must not be asked unless given."""
    return StageContext(
        task=TASK,
        processor=of.processor,
        contract=CONTRACT,
        train=of.rows,
        validation=of.rows,
        profile=ProfileSpec(
            name="test", description="test", providers=(ProviderSpec(name="CPUExecutionProvider"),), **profile
        ),
        training=ResolvedTraining(),
        seed=0,
        work=work,
        teacher=None,
        reference=reference,
        allowance=allowance,
        latency=latency,
        record=lambda _, measure: measure(),
        evaluate=evaluate,
        encoded_by=_absent,
        progress=Progress(quiet=True),
    )
