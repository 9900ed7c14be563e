"""Shared base of tasks whose answer is one of several classes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.data import checks
from edgesft.errors import InputError, Problem
from edgesft.tasks.base import Example, Row, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import calibration, classification
from edgesft.tasks.models.onnx_file import CLASSES

if TYPE_CHECKING:
    import torch

LABELS = "labels"


class Classes(Task, ABC):
    """One label per row: the class with the highest score."""

    metrics: tuple[str, ...] = ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
    by_row = True

    def check_labels(self, splits: Mapping[str, Sequence[Row]], train: str = "train") -> list[Problem]:
        """Everything wrong with rows and their labels.

        Args:
            splits: Rows by split.
            train: Name of the training rows among the splits.
        """
        return checks.labelled(splits, "label", train)

    def labels(self, train: Sequence[Row], options: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Labels in a stable order (numeric where all are whole numbers), and options of the contract about them.

        Args:
            train: Training rows.
            options: What the contract is made from.
        """
        return named({checks.label_name(row["label"]) for row in train}, options), {}

    def labeller(self, contract: Contract) -> Callable[[Row], np.ndarray]:
        """A function from a row to the index of its label, an int64 without axes."""
        index_of = {label: index for index, label in enumerate(contract.labels)}
        return lambda row: np.asarray(known(checks.label_name(row["label"]), index_of), np.int64)

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy, weighted by the classes where they have weights."""
        return entropy(self.logits(outputs).float(), labels, class_weights, label_smoothing)

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The label's index of each row, int64."""
        return np.asarray([example[LABELS] for example in examples], np.int64)

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Accuracy, F1, precision and recall of the highest logit."""
        counts = classification.confusion(
            references, classification.highest(predictions, references), predictions.shape[1]
        )
        return {
            "accuracy": classification.accuracy(counts),
            "f1_macro": classification.macro(counts, classification.f1(counts)),
            "f1_weighted": classification.weighted(counts, classification.f1(counts)),
            "precision_macro": classification.macro(counts, classification.precision(counts)),
            "recall_macro": classification.macro(counts, classification.recall(counts)),
        }

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """The class with the highest logit; softmax at the temperature is its probability."""
        heat = contract.options.get(calibration.TEMPERATURE, 1.0)
        return {**scored(contract, "classes", 1), "activation": "softmax", "temperature": heat}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Averages, figures of each class, confusion, calibration, ROC: `evaluation.classification_report`."""
        from edgesft.tasks.metrics import evaluation

        heat = contract.options.get(calibration.TEMPERATURE)
        return evaluation.classification_report(predictions, references, contract.labels, heat)

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """The temperature that calibrates the probabilities, and the score from which a row counts as a known class."""
        return calibration.calibrate(predictions, references)

    def unknown(self, predictions: np.ndarray, others: np.ndarray, contract: Contract) -> dict[str, Any]:
        """AUROC, FPR@95, and what the contract's threshold accepts: `calibration.open_world`."""
        return calibration.open_world(predictions, others, contract.options[calibration.ACCEPT])


def entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None, smoothing: float, ignored: int = -100
) -> torch.Tensor:
    """Mean cross entropy of the rows, each times the weight of its class where there are weights.

    torch's own mean with weights divides by those of the rows at hand: in a part of a batch with one class only, they
    would count for nothing.

    Args:
        logits: Shape [rows, classes, …].
        labels: Classes, or shares of them.
        weights: One a class, of mean 1 over the training rows.
        smoothing: Share of the target spread over all classes.
        ignored: The label of what does not count.
    """
    from torch.nn.functional import cross_entropy

    if weights is None:
        return cross_entropy(logits, labels, label_smoothing=smoothing, ignore_index=ignored)
    total = cross_entropy(
        logits, labels, weight=weights, label_smoothing=smoothing, ignore_index=ignored, reduction="sum"
    )
    return total / (len(labels) if labels.is_floating_point() else (labels != ignored).sum().clamp(min=1))


def named(labels: Iterable[str], options: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes in the order of the scores: the order of a given ONNX file, else a stable one.

    Args:
        labels: Of the training rows.
        options: What a contract is made from.

    Raises:
        InputError: The file does not have a label of the rows.
    """
    seen = set(labels)
    classes = tuple(options.get(CLASSES) or checks.ordered(seen))
    if strange := checks.ordered(seen - set(classes)):
        message = f"data.train: labels must be those of the model's file ({checks.listed(classes)}), got {strange[0]!r}"
        raise InputError(message, "use the same names: in the rows, or in model.labels (in the file's order)")
    return classes


def check_scores(shape: Sequence[int], labels: Sequence[str]) -> list[Problem]:
    """Scores that are not one for each label.

    Args:
        shape: Of the scores, rows first.
        labels: Of the contract.
    """
    flat = len(shape) == 2
    if flat and shape[1] == len(labels):
        return []
    got = str(shape[1]) if flat else f"shape {list(shape)}"
    many = "set the number of classes in model.arguments, by the name that your factory uses"
    hint = many if flat else "return scores of shape [rows, classes]"
    return [Problem(f"model: must give a score for each of {len(labels)} labels, got {got}", hint)]


def scored(contract: Contract, kind: str, axis: int) -> dict[str, Any]:
    """The entries that all decodings with one score per label have in common."""
    return {"kind": kind, "output": "logits", "axis": axis, "classes": len(contract.labels)}


def known(label: str, index_of: Mapping[str, int]) -> int:
    """The index of a label.

    Raises:
        InputError: There is no such label.
    """
    if label not in index_of:
        raise InputError(f"label: must be one of {', '.join(index_of)}, got {label!r}")
    return index_of[label]
