"""Token classification: a tag for each word, such as entities or parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.errors import Problem
from edgesft.tasks.base import Example, Row, Run
from edgesft.tasks.classes import entropy, known, named, scored
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import entities, evaluation
from edgesft.tasks.text import IGNORED, LABELS, TextTask, tokens_of

if TYPE_CHECKING:
    import torch

WORDS, TAGS = "words", "tags"
"""Of an example, beside the model's inputs: the first token of each word, and the tag of each word of the row."""


class TokenClassification(TextTask):
    """A tag for each word, by an encoder with a head on its tokens.

    A row has `tokens`, a list of words, and `tags`, a list of the same length. In files without lists, such as csv,
    both are texts separated by blanks. The tag of a word is predicted at its first token. Words beyond `max_length` get
    no prediction, which counts as the tag for "outside", so that every word is scored.
    """

    name: ClassVar[str] = "token-classification"
    roles: tuple[str, ...] = ("tokens", "tags")
    metrics: tuple[str, ...] = ("f1", "precision", "recall", "accuracy")
    training: frozenset[str] = TextTask.training | {"class_weights"}
    takes_files: ClassVar[bool] = True
    kind: ClassVar[str] = "token-classification"
    heads: ClassVar[str] = "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES"
    by_token: ClassVar[bool] = True

    def text(self, row: Mapping[str, Any]) -> str:
        """The words."""
        return " ".join(words(row["tokens"]))

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits and rows, tags that are not as many as the words, tags that train lacks."""
        return checks.tagged(splits, tokens="tokens", tags="tags")

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Tags in a stable order and the longest input in tokens."""
        tags = named({tag for row in train for tag in words(row["tags"])}, options)
        return Contract(self.name, tags, {"max_length": int(options["max_length"])})

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Tokens of all words, cut to `max_length`; labels of each word's first token, the others `IGNORED`."""
        parted = [words(row["tokens"]) for row in rows]
        encoded = processor(
            parted,
            is_split_into_words=True,
            truncation=True,
            max_length=contract.options["max_length"],
            padding=False,
        )
        index_of = {label: index for index, label in enumerate(contract.labels)}
        examples = []
        for index, row in enumerate(rows):
            example = tokens_of(encoded, index, processor.model_input_names)
            example[WORDS] = _first_tokens(encoded.word_ids(index), len(parted[index]))
            if "tags" in row:
                tags = np.asarray([known(tag, index_of) for tag in words(row["tags"])], np.int64)
                seen = example[WORDS] >= 0
                labels = np.full(len(example["input_ids"]), IGNORED, np.int64)
                labels[example[WORDS][seen]] = tags[seen]
                example |= {TAGS: tags, LABELS: labels}
            examples.append(example)
        return examples

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy over the words' first tokens."""
        logits = self.logits(outputs).float().flatten(0, 1)
        return entropy(logits, labels.flatten(), class_weights, label_smoothing, IGNORED)

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Scores of the words' first tokens, shape [words, classes]."""
        return self.logits(outputs)[batch[LABELS] != IGNORED]

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Tag numbers, int64 of shape [rows, words]; `entities.ABSENT` where there is no word or no answer."""
        found = np.full((len(examples), _widest(examples)), entities.ABSENT, np.int64)
        answers = self.answers(run, examples, processor, batch_size)
        for row, example, answer in zip(found, examples, answers, strict=True):
            places = np.flatnonzero(example[WORDS] >= 0)
            scores = answer["logits"][example[WORDS][places]]
            # What is no number answers nothing.
            row[places] = np.where(np.isnan(scores).any(axis=1), entities.ABSENT, scores.argmax(axis=1))
        return found

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The tag numbers of each row, shape [rows, words]; `entities.ABSENT` beyond its end."""
        found = np.full((len(examples), _widest(examples)), entities.ABSENT, np.int64)
        for row, example in zip(found, examples, strict=True):
            row[: len(example[TAGS])] = example[TAGS]
        return found

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """F1, precision and recall of the entities of all kinds together; share of the words tagged rightly."""
        counted = entities.counts(predictions, references, entities.scheme(contract.labels)).sum(axis=0)
        there = references != entities.ABSENT
        return {**entities.figures(counted), "accuracy": float((predictions == references)[there].mean())}

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """The tokens of a row's words, cut to the longest input."""
        return {**super().preparation(contract), "kind": "words", "columns": ["tokens"]}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """A word's tag is the one with the highest logit of its first token."""
        return {**scored(contract, "tags", 2), "of_word": "first token"}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Figures of each kind of entity, and words whose tags were confused."""
        return evaluation.tag_report(predictions, references, contract.labels)


def words(value: Any) -> list[str]:
    """The words of a row: a list of them, or a text with blanks between them."""
    return value.split() if isinstance(value, str) else [str(each) for each in value]


def _first_tokens(word_ids: Sequence[int | None], count: int) -> np.ndarray:
    """Place of each word's first token, -1 where it was cut off; int64 of shape [words]."""
    found = np.full(count, -1, np.int64)
    for place, word in enumerate(word_ids):
        if word is not None and found[word] < 0:
            found[word] = place
    return found


def _widest(examples: Sequence[Example]) -> int:
    return max((len(example[WORDS]) for example in examples), default=0)
