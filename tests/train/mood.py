"""The tiny task that training is tested on: tell the mood of a sentence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext
from edgesft.tasks.base import Example
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_classification import TextClassification
from edgesft.train import checkpoint, engine
from tests import tiny

# Two threads are no faster on models this small, and many times slower where another process wants a core.
torch.set_num_threads(1)

SETTINGS = ResolvedTraining(epochs=6, learning_rate=3e-3, batch_size=32, token_dropout=0.1, arithmetic="fp32")


@dataclass(frozen=True)
class Mood:
    """The task with its rows encoded for one pretrained encoder."""

    source: Path
    processor: Any
    contract: Contract
    train: list[Example]
    validation: list[Example]
    task: TextClassification = field(default_factory=TextClassification)

    def model(self) -> nn.Module:
        """The pretrained encoder with a new head, the same each time."""
        torch.manual_seed(0)
        return self.task.load_model(self.source, self.contract)

    def fit(self, model: nn.Module, work: Path, **changes: Any) -> engine.FitReport:
        """Trains with SETTINGS unless changes say otherwise."""
        given = {
            "task": self.task, "processor": self.processor, "contract": self.contract,
            "train": self.train, "validation": self.validation,
            "settings": SETTINGS, "seed": 1, "work": work, "progress": Progress(quiet=True), "label": "mood",
        }  # fmt: skip
        return engine.fit(model, **{**given, **changes})

    def accuracy(self, model: nn.Module) -> float:
        """On the validation rows."""
        predictions = self.task.predict(engine.runner(model), self.validation, self.processor, batch_size=32)
        return self.task.score(predictions, self.task.references(self.validation), self.contract)["accuracy"]

    def artefact(self, model: nn.Module, folder: Path) -> Artefact:
        """The model as a torch artefact."""
        checkpoint.save(model, folder, self.processor, self.contract)
        return Artefact("torch", folder, folder.name)

    def context(self, work: Path, **changes: Any) -> StageContext:
        """Surroundings of a training stage, in which nothing may be measured."""
        work.mkdir(parents=True, exist_ok=True)
        context = StageContext(
            task=self.task,
            processor=self.processor,
            contract=self.contract,
            train=self.train,
            validation=self.validation,
            profile=ProfileSpec(name="any", description="any", providers=({"name": "CPUExecutionProvider"},)),
            training=SETTINGS,
            seed=1,
            work=work,
            teacher=None,
            reference=None,
            allowance=0.01,
            latency=_refuse,
            record=_refuse,
            evaluate=_refuse,
            encoded_by=_refuse,
            progress=Progress(quiet=True),
        )
        return replace(context, **changes)


def make(source: Path, rows: int = 400) -> Mood:
    """The task for a pretrained encoder, a quarter of the rows for validation."""
    task = TextClassification()
    data = tiny.rows(rows)
    held = rows // 4
    contract = task.contract(data[held:], {"max_length": 32})
    processor = task.load_processor(source, contract)
    return Mood(
        source, processor, contract, task.encode(data[held:], processor, contract),
        task.encode(data[:held], processor, contract),
    )  # fmt: skip


def digest(model: nn.Module) -> str:
    """Of every weight's bytes."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def _refuse(*_: object) -> Any:
    raise AssertionError("training measures nothing")
