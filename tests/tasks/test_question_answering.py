"""The question answering task, on a tiny encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Batch
from edgesft.tasks.question_answering import QuestionAnswering
from tests import tiny

TASK = QuestionAnswering()
ROWS = tiny.answered(40)
CONTRACT = TASK.contract(ROWS, {"max_length": 16, "stride": 6})


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> Any:
    return TASK.load_processor(bert, CONTRACT)


def told(examples: list[dict[str, np.ndarray]], tokenizer: Any) -> Any:
    """Answers with what the labels say, window by window."""
    labels = iter(TASK.collate([example], tokenizer)["labels"] for example in examples)
    queue = [row for batch in labels for row in batch]

    def run(feeds: Batch, graph: str = "model") -> dict[str, np.ndarray]:
        starts, ends = (np.zeros(feeds["input_ids"].shape, np.float32) for _ in range(2))
        for row in range(len(starts)):
            first, last = queue.pop(0)
            starts[row, first] = ends[row, last] = 5.0
        return {"start_logits": starts, "end_logits": ends}

    return run


def test_true_spans_score_fully(tokenizer: Any) -> None:
    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    assert max(len(example["lengths"]) for example in examples) > 1, "some are read in windows"
    predictions = TASK.predict(told(examples, tokenizer), examples, tokenizer)
    assert TASK.score(predictions, TASK.references(examples), CONTRACT) == {"f1": 1.0, "exact_match": 1.0}


def test_windows_share_tokens_and_know_where_the_answer_is(tokenizer: Any) -> None:
    passage = "the film is a very good story with some plot and it was cold"
    row = {"context": passage, "question": "is it", "answers": {"text": ["good"], "answer_start": [19]}}
    (example,) = TASK.encode([row], tokenizer, CONTRACT)
    windows = [
        tokenizer.convert_ids_to_tokens(ids[:n])
        for ids, n in zip(example["input_ids"], example["lengths"], strict=True)
    ]
    assert windows[0][:5] == ["[CLS]", "is", "it", "[SEP]", "the"]
    assert windows[0][-7:-1] == windows[1][4:10], "the stride"
    pointed = [
        window[first : last + 1] for window, (first, last) in zip(windows, example["labels"], strict=True) if first
    ]
    assert pointed
    assert all(each == ["good"] for each in pointed)
    assert [first == 0 for first, _ in example["labels"]] == ["good" not in window for window in windows]


def test_noise_leaves_answers_as_they_are(tokenizer: Any) -> None:
    assert "token_swap" not in TASK.training and "token_dropout" in TASK.training
    batch = TASK.collate(TASK.encode(ROWS, tokenizer, CONTRACT), tokenizer)
    settings = ResolvedTraining(token_dropout=0.9, token_deletion=0.9)
    noisy = TASK.augment(batch, tokenizer, settings, np.random.default_rng(0))
    assert (noisy["input_ids"] != batch["input_ids"]).mean() > 0.3
    for row, (first, last) in enumerate(batch["labels"]):
        span = slice(first, last + 1)
        assert (noisy["input_ids"][row, span] == batch["input_ids"][row, span]).all()
        assert noisy["attention_mask"][row, span].all()


def test_answers_do_not_depend_on_the_batch(tokenizer: Any, bert: Path) -> None:
    import torch

    from edgesft.train.predictor import runner

    torch.manual_seed(0)
    run = runner(TASK.load_model(bert, CONTRACT))
    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    one, many = (TASK.predict(run, examples, tokenizer, batch_size=size) for size in (1, 7))
    assert (one == many).all()
    assert (one[:, 0] < one[:, 1]).all()


def test_left_padding_moves_the_labels(bert: Path) -> None:
    tokenizer = TASK.load_processor(bert, CONTRACT)
    examples = TASK.encode(ROWS[:8], tokenizer, CONTRACT)
    right = TASK.collate(examples, tokenizer)
    tokenizer.padding_side = "left"
    left = TASK.collate(examples, tokenizer)
    for side in (0, 1):
        rows = range(len(right["labels"]))
        there = [right["input_ids"][row, right["labels"][row, side]] for row in rows]
        assert there == [left["input_ids"][row, left["labels"][row, side]] for row in rows]
    assert (right["labels"] != left["labels"]).any()


def test_requests_are_single_windows(tokenizer: Any) -> None:
    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    requests = TASK.requests(examples, tokenizer)
    assert len(requests) == sum(len(example["lengths"]) for example in examples)
    assert {tuple(request) for request in requests} == {("input_ids", "attention_mask")}
    assert all(request["attention_mask"].all() for request in requests)


def test_a_question_that_leaves_no_room(tokenizer: Any) -> None:
    row = {**ROWS[0], "question": "the film is a very very very"}
    with pytest.raises(
        InputError, match=r"must leave more than 6 tokens .stride. .* got 6 beside the question of row 1"
    ):
        TASK.encode([row], tokenizer, CONTRACT)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"text": ["Rome"], "answer_start": [3]}, "be in the passage where they say, got 'Rome' at 3"),
        ({"text": [], "answer_start": []}, "have as many places as texts, one or more, got 0 and 0"),
        ("Rome", "be an object of text and answer_start, got 'Rome'"),
        ({"text": ["the"], "answer_start": ["0"]}, "pair a text with a whole number, got 'the' and '0'"),
    ],
)
def test_bad_answers(answers: Any, said: str) -> None:
    (problem,) = TASK.check({"train": [ROWS[0], {**ROWS[1], "context": "the plot", "answers": answers}]})
    assert said in problem.message
    assert "row 2" in problem.message
