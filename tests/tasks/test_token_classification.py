"""The token classification task, on a tiny encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.tasks.metrics import entities
from edgesft.tasks.text import IGNORED
from edgesft.tasks.token_classification import TokenClassification
from tests import tiny

TASK = TokenClassification()
ROWS = tiny.tagged(40)
CONTRACT = TASK.contract(ROWS, {"max_length": 16})


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> Any:
    return TASK.load_processor(bert, CONTRACT)


def test_contract_has_the_tags() -> None:
    assert CONTRACT.labels == ("B-MOOD", "I-MOOD", "O")


def test_the_first_token_of_a_word_answers(tokenizer: Any) -> None:
    (example,) = TASK.encode([{"tokens": ["the", "xyz", "film"], "tags": ["O", "B-MOOD", "O"]}], tokenizer, CONTRACT)
    tokens = tokenizer.convert_ids_to_tokens(example["input_ids"])
    assert tokens == ["[CLS]", "the", "x", "##y", "##z", "film", "[SEP]"]
    assert example["labels"].tolist() == [IGNORED, 2, 0, IGNORED, IGNORED, 2, IGNORED]
    assert example["words"].tolist() == [1, 2, 5]


def test_words_may_stand_in_a_text(tokenizer: Any) -> None:
    listed = {"tokens": ["the", "good", "film"], "tags": ["O", "B-MOOD", "O"]}
    written = {"tokens": "the good film", "tags": "O B-MOOD O"}
    both = [TASK.encode([row], tokenizer, CONTRACT)[0] for row in (listed, written)]
    assert all((both[0][name] == both[1][name]).all() for name in both[0])
    assert TASK.check({"train": [listed, written]}) == []


def test_what_is_cut_off_counts_as_missed(tokenizer: Any) -> None:
    row = {"tokens": ["film"] * 20, "tags": ["B-MOOD"] * 20}
    examples = TASK.encode([row], tokenizer, CONTRACT)

    def perfect(feeds: dict[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
        scores = np.zeros((*feeds["input_ids"].shape, 3), np.float32)
        scores[..., 0] = 1
        return {"logits": scores}

    predictions, truth = TASK.predict(perfect, examples, tokenizer), TASK.references(examples)
    assert (predictions[0] == 0).sum() == 14
    score = TASK.score(predictions, truth, CONTRACT)
    assert (score["recall"], score["precision"], score["accuracy"]) == (0.7, 1.0, 0.7)
    assert TASK.evaluate(predictions, truth, CONTRACT)["unanswered"] == 6


def test_answers_do_not_depend_on_the_batch(tokenizer: Any, bert: Path) -> None:
    import torch

    from edgesft.train.predictor import runner

    torch.manual_seed(0)
    run = runner(TASK.load_model(bert, CONTRACT))
    examples = TASK.encode(ROWS, tokenizer, CONTRACT)
    one, many = (TASK.predict(run, examples, tokenizer, batch_size=size) for size in (1, 7))
    assert (one == many).all()
    assert ((one == entities.ABSENT) == (TASK.references(examples) == entities.ABSENT)).all()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "tags must be as many as tokens, got 1 for 2 in row 1"),
        ({"tokens": [], "tags": []}, "tokens must hold a word, got none in row 1"),
        ({"tokens": 3, "tags": ["O"]}, "must be lists of texts, but are not in row 1"),
        ({"tokens": ["a"], "tags": ["B-NEW"]}, "has tags that train lacks: 'B-NEW'"),
    ],
)
def test_bad_rows(row: dict[str, Any], said: str) -> None:
    (problem,) = TASK.check({"train": ROWS, "test": [row]})
    assert said in problem.message
