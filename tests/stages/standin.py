"""A text task with as little as export and quantization need, on the tiny BERT, and a context around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec, ProviderSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext
from edgesft.tasks.base import Batch, Contract, Example, Graph, Row, Run, Task
from tests import tiny

CONTRACT = Contract("standin", ("negative", "positive"), {"max_length": 32})


class Standin(Task):
    """Text classification without checks, loss or augmentation."""

    name = "standin"
    roles = ("text", "label")
    metrics = ("accuracy",)

    def check(self, splits: Mapping[str, Sequence[Row]]) -> list[Any]:
        return []

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        return CONTRACT

    def check_model(self, source: Path | str, contract: Contract) -> list[Any]:
        return []

    def load_model(self, source: Path | str, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        from transformers import AutoModelForSequenceClassification

        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_pretrained(source, num_labels=2).eval()

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        raise NotImplementedError

    def load_processor(self, source: Path | str, contract: Contract) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(source)

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        found = []
        for row in rows:
            inputs = processor(row["text"])
            example = {name: np.array(inputs[name], np.int64) for name in ("input_ids", "attention_mask")}
            found.append({**example, "labels": np.array(contract.labels.index(row["label"]), np.int64)})
        return found

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        width = max(len(example["input_ids"]) for example in examples)
        batch = {
            name: np.stack([np.pad(example[name], (0, width - len(example[name]))) for example in examples])
            for name in ("input_ids", "attention_mask")
        }
        return {**batch, "labels": np.stack([example["labels"] for example in examples])}

    def augment(self, batch: Batch, processor: Any, share: float, rng: np.random.Generator) -> Batch:
        return batch

    def loss(self, outputs: Any, labels: torch.Tensor, *, label_smoothing: float = 0.0) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs.logits, labels)

    def logits(self, outputs: Any) -> torch.Tensor:
        return outputs.logits

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        found = []
        for start in range(0, len(examples), batch_size):
            batch = self.collate(examples[start : start + batch_size], processor)
            found.append(run({name: batch[name] for name in ("input_ids", "attention_mask")})["logits"].argmax(-1))
        return np.concatenate(found)

    def score(self, predictions: np.ndarray, examples: Sequence[Example]) -> dict[str, float]:
        return {"accuracy": float(np.mean(predictions == np.array([example["labels"] for example in examples])))}

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        batch = self.collate(examples[:2], processor)
        names = ("input_ids", "attention_mask")
        inputs = {name: torch.from_numpy(batch[name]) for name in names}
        return [Graph("model", model, inputs, {name: {0: "batch", 1: "sequence"} for name in names}, ("logits",))]

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        return [
            {name: example[name][None] for name in ("input_ids", "attention_mask")} for example in examples
        ]


def model_and_rows(bert: Path, count: int = 24) -> tuple[nn.Module, Any, list[Example]]:
    """The tiny model with a head whose weights are all at random, its tokenizer and encoded rows."""
    task = Standin()
    model = task.load_model(bert, CONTRACT)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    processor = task.load_processor(bert, CONTRACT)
    return model, processor, task.encode(tiny.rows(count), processor, CONTRACT)


def context(
    work: Path,
    processor: Any,
    rows: Sequence[Example],
    *,
    latency: Callable[[Sequence[Path]], list[int]] | None = None,
    evaluate: Callable[[Path], dict[str, float]] | None = None,
    reference: Artefact | None = None,
    allowance: float = 0.01,
    **profile: Any,
) -> StageContext:
    """Surroundings of a step; latency and evaluate raise unless given."""

    def absent(*_: Any) -> Any:
        raise AssertionError("must not be asked")

    return StageContext(
        task=Standin(),
        processor=processor,
        train=rows,
        validation=rows,
        profile=ProfileSpec(
            name="test", description="test", providers=(ProviderSpec(name="CPUExecutionProvider"),), **profile
        ),
        training=ResolvedTraining(),
        seed=0,
        work=work,
        teacher=None,
        reference=reference,
        allowance=allowance,
        latency=latency or absent,
        evaluate=evaluate or absent,
        progress=Progress(quiet=True),
    )
