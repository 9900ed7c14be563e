"""Text classification: one label for one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.errors import InputError, Problem
from edgesft.tasks import calibration, evaluation, metrics
from edgesft.tasks.base import Contract, Example, Row, Run
from edgesft.tasks.text import LABELS, TextTask, tokens_of

if TYPE_CHECKING:
    import torch


class TextClassification(TextTask):
    """One label for one text, by an encoder with a classification head."""

    name: ClassVar[str] = "text-classification"
    roles: tuple[str, ...] = ("text", "label")
    metrics: tuple[str, ...] = ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
    by_row: ClassVar[bool] = True
    training: frozenset[str] = TextTask.training | {"class_weights"}
    kind: ClassVar[str] = "text-classification"
    heads: ClassVar[str] = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"

    def text(self, row: Mapping[str, Any]) -> str:
        """The text."""
        return str(row["text"])

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank texts, bad, single or unseen labels."""
        return checks.classification(splits, text="text", label="label")

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels in a stable order (numeric where all are whole numbers) and the longest input in tokens."""
        labels = checks.ordered({checks.label_name(row["label"]) for row in train})
        return Contract(self.name, tuple(labels), {"max_length": int(options["max_length"])})

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Token ids and masks (int64, shape [tokens]), cut to `max_length`; the label's index where there is one."""
        examples = encoded(rows, processor, contract)
        index_of = {label: index for index, label in enumerate(contract.labels)}
        for row, example in zip(rows, examples, strict=True):
            if "label" in row:
                example[LABELS] = np.asarray(known(checks.label_name(row["label"]), index_of), np.int64)
        return examples

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy, weighted by the classes where they have weights."""
        from torch.nn.functional import cross_entropy

        logits = self.logits(outputs).float()
        return cross_entropy(logits, labels, weight=class_weights, label_smoothing=label_smoothing)

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Logits, float32 of shape [rows, classes]."""
        return np.stack([each["logits"] for each in self.answers(run, examples, processor, batch_size)])

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The label's index of each row, int64."""
        return np.asarray([example[LABELS] for example in examples], np.int64)

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Accuracy, F1, precision and recall of the highest logit."""
        counts = metrics.confusion(references, predictions.argmax(axis=1), predictions.shape[1])
        return {
            "accuracy": metrics.accuracy(counts),
            "f1_macro": metrics.macro(counts, metrics.f1(counts)),
            "f1_weighted": metrics.weighted(counts, metrics.f1(counts)),
            "precision_macro": metrics.macro(counts, metrics.precision(counts)),
            "recall_macro": metrics.macro(counts, metrics.recall(counts)),
        }

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """The class with the highest logit; softmax at the temperature is its probability."""
        heat = contract.options.get(calibration.TEMPERATURE, 1.0)
        return {**scored(contract, "classes", 1), "activation": "softmax", "temperature": heat}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Averages, figures of each class, confusion, calibration, ROC: `evaluation.classification`."""
        heat = contract.options.get(calibration.TEMPERATURE)
        return evaluation.classification(predictions, references, contract.labels, heat)

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """The temperature of honest probabilities, and the score from which a text is of a known class."""
        return calibration.calibrate(predictions, references)

    def unknown(self, predictions: np.ndarray, others: np.ndarray, contract: Contract) -> dict[str, Any]:
        """AUROC, FPR@95, and what the contract's threshold accepts: `calibration.open_world`."""
        return calibration.open_world(predictions, others, contract.options[calibration.ACCEPT])


def scored(contract: Contract, kind: str, axis: int) -> dict[str, Any]:
    """What all decodings of logits that have one score a label say."""
    return {"kind": kind, "output": "logits", "axis": axis, "classes": len(contract.labels)}


def encoded(rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
    """The tokens of each row's `text`, cut to `max_length`."""
    found = processor(
        [row["text"] for row in rows], truncation=True, max_length=contract.options["max_length"], padding=False
    )
    return [tokens_of(found, index, processor.model_input_names) for index in range(len(rows))]


def known(label: str, index_of: Mapping[str, int]) -> int:
    """The index of a label.

    Raises:
        InputError: There is no such label.
    """
    if label not in index_of:
        raise InputError(f"label: must be one of {', '.join(index_of)}, got {label!r}")
    return index_of[label]
