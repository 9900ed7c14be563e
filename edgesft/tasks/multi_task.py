"""Several classifications by one model: one body, a head each."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.data.rows import chosen
from edgesft.errors import InputError, Problem
from edgesft.tasks.audio_classification import AudioClassification
from edgesft.tasks.base import Example, Row
from edgesft.tasks.classes import LABELS, Classes, known, scored
from edgesft.tasks.contract import Contract
from edgesft.tasks.image_classification import ImageClassification
from edgesft.tasks.metrics import classification, evaluation
from edgesft.tasks.text_classification import TextClassification

if TYPE_CHECKING:
    import torch

HIDDEN = -1.0e4
"""Score of other heads' classes in what a student learns: as good as impossible, and still a number in bfloat16."""


class Heads(Classes, ABC):
    """A label of each of several kinds for one row.

    A row has besides its input and `label` the name of its `head`; `data.train: {mood: moods.csv, topic: topics.csv}`
    names them by file. The heads are rows of one linear layer on the encoder: the model's `logits` hold the classes
    of all heads side by side, in the order of the contract's `heads`, and a device reads all of them from one call. A
    row teaches its own head alone. Training draws rows of each head as the setting `sampling` says.
    """

    takes_files: ClassVar[bool] = False
    by_row: ClassVar[bool] = False
    metrics: tuple[str, ...] = ("accuracy", "accuracy_lowest", "f1_macro")

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Of each head what is wrong with a classification's rows; heads that train lacks."""
        found: list[Problem] = []
        of = {split: np.asarray([str(row["head"]) for row in rows]) for split, rows in splits.items()}
        names = {split: list(dict.fromkeys(each.tolist())) for split, each in of.items()}
        for head in names.get("train", next(iter(names.values()), [])):
            own = {split: chosen(rows, np.flatnonzero(of[split] == head)) for split, rows in splits.items()}
            parts = {f"{split} ({head})": rows for split, rows in own.items()}
            found += self.check_labels(parts, f"train ({head})")
        if train := names.get("train"):
            for split, heads in names.items():
                if other := [head for head in heads if head not in train]:
                    message = f"data.{split}: has heads that train lacks: {checks.listed(other)}"
                    found.append(Problem(message, f"the heads are {checks.listed(train)}"))
        return found

    def labels(self, train: Sequence[Row], options: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Labels as `head/label`, head by head in the order of the rows; under `heads` how many each has."""
        found: dict[str, set[str]] = {}
        for row in train:
            found.setdefault(str(row["head"]), set()).add(checks.label_name(row["label"]))
        ordered = {head: checks.ordered(own) for head, own in found.items()}
        names = tuple(f"{head}/{label}" for head, own in ordered.items() for label in own)
        return names, {"heads": {head: len(own) for head, own in ordered.items()}}

    def labeller(self, contract: Contract) -> Callable[[Row], np.ndarray]:
        """Gives the class's index, and the first and last but one index of its head's classes."""
        index_of = {label: index for index, label in enumerate(contract.labels)}
        spans = dict(heads(contract))

        def labels(row: Row) -> np.ndarray:
            label = known(f"{row['head']}/{checks.label_name(row['label'])}", index_of)
            return np.asarray([label, *spans[str(row["head"])]], np.int64)

        return labels

    def group(self, example: Example) -> int:
        """The head, by its first class."""
        return int(example[LABELS][1])

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean over the rows of the cross entropy among the classes of each one's head.

        Raises:
            InputError: Classes are weighted, or the model gives fewer scores than all heads together have labels.
        """
        import torch
        from torch.nn.functional import cross_entropy

        if class_weights is not None:
            raise InputError(f"class_weights: must be none for {self.name}, got weights", "leave it out")
        logits = self.logits(outputs).float()
        if logits.shape[1] < (wanted := int(labels[:, 2].max())):
            message = f"model: must give a score for each label of all heads, {wanted} or more, got {logits.shape[1]}"
            raise InputError(message, "the factory's argument for the number of classes, in model.arguments")
        losses = []
        for first, last in torch.unique(labels[:, 1:], dim=0).tolist():
            of = labels[:, 1] == first
            own = logits[of, first:last]
            losses.append(cross_entropy(own, labels[of, 0] - first, label_smoothing=label_smoothing, reduction="sum"))
        return torch.stack(losses).sum() / len(labels)

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Scores of each row among its own head's classes; of the others' `HIDDEN`."""
        import torch

        logits, labels = self.logits(outputs), batch[LABELS]
        classes = torch.arange(logits.shape[1], device=logits.device)
        own = (classes >= labels[:, 1:2]) & (classes < labels[:, 2:3])
        return logits.masked_fill(~own, HIDDEN)

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """Class, and first and last but one class of the head, of each row; int64 of shape [rows, 3]."""
        return np.stack([example[LABELS] for example in examples])

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Mean and lowest accuracy over the heads, and the mean of their macro F1; heads without a row are left out."""
        accuracies, averages = [], []
        for _, logits, truth in _by_head(predictions, references, contract):
            counts = classification.confusion(truth, classification.highest(logits, truth), logits.shape[1])
            accuracies.append(classification.accuracy(counts))
            averages.append(classification.macro(counts, classification.f1(counts)))
        return {
            "accuracy": float(np.mean(accuracies)),
            "accuracy_lowest": min(accuracies),
            "f1_macro": float(np.mean(averages)),
        }

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Figures of each head, and under `heads` all that a classification tells of it."""
        names = [label.partition("/")[2] for label in contract.labels]
        spans = dict(heads(contract))
        told = {
            head: evaluation.classification_report(logits, truth, names[slice(*spans[head])])
            for head, logits, truth in _by_head(predictions, references, contract)
        }
        return {
            "rows": len(references),
            "averages": self.score(predictions, references, contract),
            "by": "heads",
            "classes": [
                {"name": head, **_figures(each["averages"]), "rows": each["rows"]} for head, each in told.items()
            ],
            "heads": told,
        }

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """Of each head the class with the highest logit among its own."""
        own = [{"name": name, "first": first, "classes": last - first} for name, (first, last) in heads(contract)]
        return {**scored(contract, "heads", 1), "heads": own, "activation": "softmax"}

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Nothing: heads would need a temperature each."""
        return {}

    def unknown(self, predictions: np.ndarray, others: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Nothing, as there is no threshold."""
        return {}


class MultiTask(Heads, TextClassification):
    """Several labels for one text, by one encoder with a head for each."""

    name: ClassVar[str] = "multi-task"
    roles: tuple[str, ...] = ("text", "label", "head")
    training: frozenset[str] = (TextClassification.training - {"class_weights"}) | {"sampling"}


class ImageMultiTask(Heads, ImageClassification):
    """Several labels for one picture, by one net."""

    name: ClassVar[str] = "image-multi-task"
    roles: tuple[str, ...] = ("image", "label", "head")
    training: frozenset[str] = (ImageClassification.training - {"class_weights"}) | {"sampling"}


class AudioMultiTask(Heads, AudioClassification):
    """Several labels for one sound, by one net."""

    name: ClassVar[str] = "audio-multi-task"
    roles: tuple[str, ...] = ("audio", "label", "head")
    training: frozenset[str] = (AudioClassification.training - {"class_weights"}) | {"sampling"}


def heads(contract: Contract) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each head with the first and the last but one index of its classes, in the order of the labels.

    Which labels are whose they say themselves (`head/label`): a contract that was read from a file has its heads in
    the order of their names. Of heads that both fit, `a` and `a/b`, it is the one of the longer name.
    """
    left, first = dict(contract.options["heads"]), 0
    while left:
        fitting = [name for name, count in left.items() if _all_of(name, contract.labels[first : first + count])]
        if not fitting:
            got = ", ".join(contract.labels[first : first + 3])
            raise InputError(f"contract: labels must be of the heads {', '.join(left)}, as 'head/label', got {got}")
        name = max(fitting, key=len)
        last = first + left.pop(name)
        yield name, (first, last)
        first = last


def _all_of(head: str, labels: Sequence[str]) -> bool:
    return all(label.startswith(f"{head}/") for label in labels)


def _by_head(
    predictions: np.ndarray, references: np.ndarray, contract: Contract
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Of each head that has rows: its name, the logits of its classes, and the true ones from 0."""
    for name, (first, last) in heads(contract):
        if (of := references[:, 1] == first).any():
            yield name, predictions[of, first:last], references[of, 0] - first


def _figures(averages: Mapping[str, float]) -> dict[str, float]:
    return {
        "accuracy": averages["accuracy"],
        "f1": averages["f1_macro"],
        "precision": averages["precision_macro"],
        "recall": averages["recall_macro"],
    }
