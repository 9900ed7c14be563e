"""Zero-shot classification: labels are known by what they are called, also those without a training row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.errors import Problem
from edgesft.tasks.base import Example, Graph, Row
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics.classification import highest
from edgesft.tasks.models import pretrained
from edgesft.tasks.models.source import Source
from edgesft.tasks.models.source import folder as local_folder
from edgesft.tasks.text import INPUTS
from edgesft.tasks.text_classification import TextClassification

if TYPE_CHECKING:
    from torch import nn

_PARTS = re.compile(r"[_\-./]+|(?<=[a-z])(?=[A-Z])")


class ZeroShot(TextClassification):
    """The label whose text is most similar to the row's text, by one encoder for both.

    The classes are the labels of the training rows and those in `data.labels`. Labels in `data.labels` need no rows.
    They are written out (`card_arrival` is read as "card arrival") or have a description. Training moves the texts of
    rows towards their labels. In the exported graph the vectors of the labels are constants.
    """

    name: ClassVar[str] = "zero-shot-classification"
    takes_files: ClassVar[bool] = False
    kind: ClassVar[str] = "feature-extraction"
    heads: ClassVar[str] = "MODEL_MAPPING_NAMES"
    by_row: ClassVar[bool] = False
    training: frozenset[str] = TextClassification.training - {"token_substitution"}

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank texts, bad or single labels, labels that neither train nor `data.labels` has."""
        return checks.classification(splits, text="text", label="label", further=_described(options or {}))

    def tokens(self, examples: Sequence[Example]) -> set[int] | None:
        """None: the model reads the labels' texts, too."""
        return None

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """All labels in a stable order, what each one's text is, and which have training rows."""
        told = _described(options)
        seen = {checks.label_name(row["label"]) for row in train}
        labels = checks.ordered(seen | set(told))
        return Contract(
            self.name,
            tuple(labels),
            {
                "max_length": int(options["max_length"]),
                "texts": [told.get(label) or readable(label) for label in labels],
                "seen": [label in seen for label in labels],
            },
        )

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Nothing: every encoder can compare texts."""
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """A `matcher.Matcher` on a pretrained encoder."""
        from edgesft.tasks.models.matcher import Matcher

        body = pretrained.load(
            pretrained.auto_class(self.kind), local_folder(source), (), trust_remote_code=trust_remote_code
        )
        config: Any = body.config
        encoded = self.load_processor(source, contract)(
            contract.options["texts"], truncation=True, max_length=contract.options["max_length"], padding=False
        )
        config.label_tokens, config.seen = encoded["input_ids"], contract.options["seen"]
        return Matcher(config, body)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The same with its weights uninitialised."""
        from edgesft.tasks.models.matcher import Matcher

        body = pretrained.build(pretrained.auto_class(self.kind), config, ())
        return Matcher(body.config, body)

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """One graph, in which the labels' vectors are constants."""
        import torch

        from edgesft.tasks.models.matcher import Matcher, Scorer

        if not isinstance(model, Matcher):
            raise TypeError(f"model must be a Matcher, got {type(model).__name__}")
        batch = self.collate(sorted(examples, key=self.length)[:: max(1, len(examples) - 1)][:2], processor)
        inputs = {name: torch.from_numpy(batch[name]) for name in INPUTS if name in batch}
        dynamic = {name: {0: "batch", 1: "sequence"} for name in inputs}
        return [Graph("model", Scorer(model), inputs, dynamic, self.outputs)]

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """As a classification; besides the accuracy on rows of labels with and without training rows.

        `accuracy_among_unseen` lets the latter choose among labels without training rows alone.
        """
        told = super().evaluate(predictions, references, contract)
        seen = np.asarray(contract.options["seen"])
        right, of_seen = highest(predictions, references) == references, seen[references]
        extra: dict[str, float] = {}
        for name, rows in (("seen", of_seen), ("unseen", ~of_seen)):
            if rows.any():
                extra[f"accuracy_{name}"] = float(right[rows].mean())
        if (~of_seen).any():
            alone = highest(np.where(seen, -np.inf, predictions[~of_seen]), references[~of_seen])
            extra["accuracy_among_unseen"] = float((alone == references[~of_seen]).mean())
        return {**told, "averages": {**told["averages"], **extra}}


def readable(label: str) -> str:
    """A label as words: `card_arrival` and `cardArrival` are "card arrival"."""
    return " ".join(_PARTS.sub(" ", label).split()).lower()


def _described(options: Mapping[str, Any]) -> dict[str, str]:
    """The labels that the recipe names, each with its description, which may be empty."""
    labels = options.get("labels", ())
    return dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
