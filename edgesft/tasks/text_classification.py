"""Text classification: one label for one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.errors import Problem
from edgesft.tasks.base import Example, Row, Run
from edgesft.tasks.classes import Classes
from edgesft.tasks.contract import Contract
from edgesft.tasks.text import LABELS, TextTask, tokens_of


class TextClassification(Classes, TextTask):
    """One label for one text, by an encoder with a classification head."""

    name: ClassVar[str] = "text-classification"
    roles: tuple[str, ...] = ("text", "label")
    training: frozenset[str] = TextTask.training | {"class_weights"}
    takes_files: ClassVar[bool] = True
    kind: ClassVar[str] = "text-classification"
    heads: ClassVar[str] = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"

    def text(self, row: Mapping[str, Any]) -> str:
        """The text."""
        return str(row["text"])

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank texts, bad, single or unseen labels."""
        return self.check_labels(splits)

    def check_labels(self, splits: Mapping[str, Sequence[Row]], train: str = "train") -> list[Problem]:
        """The same."""
        return checks.classification(splits, text="text", label="label", train=train)

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels and the longest input in tokens."""
        labels, said = self.labels(train, options)
        return Contract(self.name, labels, {"max_length": int(options["max_length"]), **said})

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Token ids and masks (int64, shape [tokens]), cut to `max_length`; what the label is where there is one."""
        examples = encoded(rows, processor, contract)
        label = self.labeller(contract)
        for row, example in zip(rows, examples, strict=True):
            if "label" in row:
                example[LABELS] = label(row)
        return examples

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Logits, float32 of shape [rows, classes]."""
        return np.stack([each["logits"] for each in self.answers(run, examples, processor, batch_size)])


def encoded(rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
    """The tokens of each row's `text`, cut to `max_length`."""
    found = processor(
        [row["text"] for row in rows], truncation=True, max_length=contract.options["max_length"], padding=False
    )
    return [tokens_of(found, index, processor.model_input_names) for index in range(len(rows))]
