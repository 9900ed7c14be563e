"""Extractive question answering: the span of a passage that answers a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.data.rows import numbered
from edgesft.errors import InputError, Problem
from edgesft.tasks.base import Batch, Example, Row, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import evaluation, spans
from edgesft.tasks.text import INPUTS, LABELS, TextTask, tokens_of

if TYPE_CHECKING:
    import torch

SPANS, PASSAGE, ANSWERS = "spans", "passage", "answers"
"""Of an example, beside the model's inputs: what each token covers of the passage, the passage, its answers."""

NOT_THERE = 0
"""Token that a window without the answer points to: the first, which is no part of the passage."""

HIDDEN = -1.0e4
"""Score of a padded position in what a student learns: as good as impossible, and still a number in bfloat16."""


class QuestionAnswering(TextTask):
    """The span of a passage that answers a question, by an encoder that scores each token as the span's start and end.

    Rows have the form of SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250): `context`, `question` and `answers`, an
    object with the lists `text` and `answer_start`, each with one or more entries. A passage that does not fit into
    `max_length` is split into windows that overlap by `stride` tokens. Its answer is the best span of all windows.
    """

    name: ClassVar[str] = "question-answering"
    roles: tuple[str, ...] = ("context", "question", "answers")
    metrics: tuple[str, ...] = ("f1", "exact_match")
    # Tokens that change places would take answers apart.
    training: frozenset[str] = TextTask.training - {"token_swap"}
    takes_files: ClassVar[bool] = True
    kind: ClassVar[str] = "question-answering"
    heads: ClassVar[str] = "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES"
    outputs: ClassVar[tuple[str, ...]] = ("start_logits", "end_logits")
    head: ClassVar[frozenset[str]] = frozenset(("qa_outputs",))
    by_token: ClassVar[bool] = True

    def text(self, row: Mapping[str, Any]) -> str:
        """Question and passage."""
        return f"{row['question']} {row['context']}"

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank texts, answers that are not where they are said to be in the passage."""
        return checks.answered(splits, passage="context", question="question", answers="answers")

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """No labels; the longest window in tokens, and how many two of them share."""
        longest = int(options["max_length"])
        stride = int(options.get("stride", longest // 4))
        return Contract(self.name, (), {"max_length": longest, "stride": stride})

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Windows of each row: inputs and labels (first and last token of the first answer) with a windows axis.

        Raises:
            InputError: A question leaves no room for the passage.
        """
        return [self._encode(number, row, processor, contract) for number, row in numbered(rows)]

    def _encode(self, number: int, row: Row, processor: Any, contract: Contract) -> Example:
        longest, stride = contract.options["max_length"], contract.options["stride"]
        question = processor(row["question"], add_special_tokens=False, verbose=False)["input_ids"]
        taken = len(question) + processor.num_special_tokens_to_add(pair=True)
        if (room := longest - taken) <= stride:
            raise InputError(
                f"data.max_length: must leave more than {stride} tokens (stride) for the passage, got {room} beside "
                f"the question of row {number}",
                "a longer data.max_length, or a shorter data.stride",
            )
        encoded = processor(
            row["question"],
            row["context"],
            truncation="only_second",
            max_length=longest,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=False,
        )
        count = len(encoded["input_ids"])
        windows = [tokens_of(encoded, index, processor.model_input_names) for index in range(count)]
        covered = [_covered(encoded, index) for index in range(count)]
        width = max(len(window["input_ids"]) for window in windows)
        example: Example = {
            name: np.stack([_wide(window[name], width, 0) for window in windows]) for name in windows[0]
        }
        example |= {
            "lengths": np.asarray([len(window["input_ids"]) for window in windows], np.int64),
            SPANS: np.stack([_wide(each, width, -1) for each in covered]),
            PASSAGE: np.asarray(row["context"]),
        }
        if "answers" in row:
            texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
            span = (int(starts[0]), int(starts[0]) + len(texts[0]))
            example[ANSWERS] = np.asarray(texts)
            example[LABELS] = np.stack([_tokens_of_span(each, span) for each in covered])
        return example

    def length(self, example: Example) -> int:
        """Tokens of all its windows."""
        return int(example["input_ids"].size)

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """One batch of all the windows of the examples: labels have the shape [windows, 2]."""
        windows = [window for example in examples for window in _windows(example)]
        longest = max(len(window["input_ids"]) for window in windows)
        batch = self.stacked([_without(window, LABELS) for window in windows], processor)
        if LABELS in windows[0]:
            shift = 0 if processor.padding_side == "right" else 1
            moved = [longest - len(window["input_ids"]) for window in windows]
            batch[LABELS] = np.stack([window[LABELS] for window in windows])
            batch[LABELS] += shift * np.asarray(moved, np.int64)[:, np.newaxis]
        return batch

    def plain(self, batch: Batch, processor: Any) -> np.ndarray:
        """Besides special tokens, those of answers stay: others in their place are no answer."""
        found = super().plain(batch, processor)
        if LABELS not in batch:
            return found
        places, (first, last) = np.arange(found.shape[1]), batch[LABELS].T[..., np.newaxis]
        return found & ~((places >= first) & (places <= last))

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean of the cross entropies of start and end.

        Raises:
            InputError: Classes are weighted; there are none.
        """
        from torch.nn.functional import cross_entropy

        if class_weights is not None:
            raise InputError("class_weights: must be none for question-answering, which has no classes", "leave it out")
        both = zip((outputs["start_logits"], outputs["end_logits"]), labels.unbind(1), strict=True)
        losses = [cross_entropy(scores.float(), place, label_smoothing=label_smoothing) for scores, place in both]
        return (losses[0] + losses[1]) / 2

    def logits(self, outputs: Any) -> torch.Tensor:
        """Scores of each token as start and as end, shape [windows, tokens, 2]."""
        import torch

        return torch.stack([outputs["start_logits"], outputs["end_logits"]], dim=-1)

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Scores over the tokens as start and as end, shape [2, windows, tokens]; of padding `HIDDEN`."""
        return self.logits(outputs).movedim(-1, 0).masked_fill(batch["attention_mask"] == 0, HIDDEN)

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """First character and the one behind the last of each answer, int64 of shape [rows, 2]; -1 for none."""
        windows = [_without(window, LABELS) for example in examples for window in _windows(example)]
        answers = iter(self.answers(run, windows, processor, batch_size))
        found = np.full((len(examples), 2), -1, np.int64)
        for row, example in zip(found, examples, strict=True):
            best = -np.inf
            for index, length in enumerate(example["lengths"]):
                answer = next(answers)
                score, span = spans.best(answer["start_logits"], answer["end_logits"], example[SPANS][index][:length])
                if score > best:
                    best, row[:] = score, span
        return found

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """Of each row its passage and its answers, a `spans.Truth`."""
        found = np.empty(len(examples), object)
        for index, example in enumerate(examples):
            found[index] = spans.Truth(str(example[PASSAGE]), tuple(map(str, example[ANSWERS])))
        return found

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """F1 over words and exact match, as SQuAD's official script has them (`spans.compared`)."""
        each = [
            spans.compared(truth, int(start), int(end))
            for truth, (start, end) in zip(references, predictions, strict=True)
        ]
        return {"f1": float(np.mean([f1 for f1, _ in each])), "exact_match": float(np.mean([em for _, em in each]))}

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """Question and passage in windows that share tokens, each an inference of its own."""
        told = {"kind": "text-pair", "columns": ["question", "context"], "stride": contract.options["stride"]}
        return {**super().preparation(contract), **told}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """The span of the passage with the greatest sum of its start's and its end's score (`spans.best`)."""
        told = {"longest": spans.LONGEST, "candidates": spans.CANDIDATES}
        return {"kind": "span", "start": "start_logits", "end": "end_logits", **told}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Scores by the length of the true answer, and rows that are wrong."""
        return evaluation.span_report(predictions, references)

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """Each window of each example with a batch axis of 1: a long passage is several requests."""
        return super().requests([window for example in examples for window in _windows(example)], processor)


def _windows(example: Example) -> list[Example]:
    """The windows of a row as examples of their own, without the padding among them."""
    names = [name for name in INPUTS if name in example]
    found = []
    for index, length in enumerate(example["lengths"]):
        window = {name: example[name][index][:length] for name in names}
        if LABELS in example:
            window[LABELS] = example[LABELS][index]
        found.append(window)
    return found


def _without(example: Example, name: str) -> Example:
    return {each: value for each, value in example.items() if each != name}


def _covered(encoded: Any, index: int) -> np.ndarray:
    """Characters of the passage that each token of a window covers, [tokens, 2]; -1 where it is no part of it."""
    found = np.asarray(encoded["offset_mapping"][index], np.int64)
    of_passage = np.asarray([sequence == 1 for sequence in encoded.sequence_ids(index)])
    return np.where(of_passage[:, np.newaxis], found, -1)


def _tokens_of_span(covered: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    """First and last token of a span of characters, or `NOT_THERE` twice where the window lacks part of it."""
    inside = np.flatnonzero(covered[:, 0] >= 0)
    if not len(inside) or covered[inside[0], 0] > span[0] or covered[inside[-1], 1] < span[1]:
        return np.full(2, NOT_THERE, np.int64)
    first = inside[np.flatnonzero(covered[inside, 0] <= span[0])[-1]]
    last = inside[np.flatnonzero(covered[inside, 1] >= span[1])[0]]
    return np.asarray([first, max(first, last)], np.int64)


def _wide(values: np.ndarray, width: int, value: int) -> np.ndarray:
    found = np.full((width, *values.shape[1:]), value, np.int64)
    found[: len(values)] = values
    return found
