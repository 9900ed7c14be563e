"""Several heads on one encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft.errors import InputError
from edgesft.tasks.contract import Contract
from edgesft.tasks.multi_task import HIDDEN, MultiTask, heads
from tests import tiny

TASK = MultiTask()
ROWS = tiny.headed(40)
CONTRACT = TASK.contract(ROWS, {"max_length": 16})


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> Any:
    return TASK.load_processor(bert, CONTRACT)


def test_contract_has_the_heads_side_by_side() -> None:
    assert CONTRACT.labels == ("length/long", "length/short", "mood/negative", "mood/positive")
    assert CONTRACT.options["heads"] == {"length": 2, "mood": 2}


def test_heads_keep_their_classes_in_a_file() -> None:
    """Names are sorted in `contract.json`, and labels are not."""
    options = {"heads": {"topic": 1, "mood": 2, "mood/fine": 1}}
    contract = Contract("multi-task", ("topic/x", "mood/bad", "mood/good", "mood/fine/so"), options)
    read = Contract.from_json(json.loads(contract.text()))
    assert list(read.options["heads"]) != list(contract.options["heads"])
    assert list(heads(read)) == [("topic", (0, 1)), ("mood", (1, 3)), ("mood/fine", (3, 4))]


def test_labels_of_no_head_are_named() -> None:
    contract = Contract("multi-task", ("topic/x", "other/y"), {"heads": {"topic": 1, "mood": 1}})
    with pytest.raises(InputError, match="labels must be of the heads mood, as 'head/label', got other/y"):
        list(heads(contract))


def test_labels_name_class_and_head(tokenizer: Any) -> None:
    rows = [{"text": "a", "label": "positive", "head": "mood"}, {"text": "a", "label": "long", "head": "length"}]
    examples = TASK.encode(rows, tokenizer, CONTRACT)
    assert [example["labels"].tolist() for example in examples] == [[3, 2, 4], [0, 0, 2]]
    assert [TASK.group(example) for example in examples] == [2, 0]


def test_a_row_teaches_its_own_head_alone() -> None:
    logits = torch.zeros(2, 4, requires_grad=True)
    loss = TASK.loss({"logits": logits}, torch.tensor([[3, 2, 4], [0, 0, 2]]), label_smoothing=0.1)
    loss.backward()
    assert float(loss) == pytest.approx(np.log(2))
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [[False, False, True, True], [True, True, False, False]]
    taught = TASK.distributions({"logits": torch.ones(1, 4)}, {"labels": torch.tensor([[3, 2, 4]])})
    assert taught.tolist() == [[HIDDEN, HIDDEN, 1.0, 1.0]]
    with pytest.raises(InputError, match="class_weights"):
        TASK.loss({"logits": logits}, torch.tensor([[3, 2, 4]] * 2), class_weights=torch.ones(4))


def test_scores_are_means_over_heads() -> None:
    references = np.asarray([[0, 0, 2], [1, 0, 2], [1, 0, 2], [3, 2, 4]])
    # The classes of the other head are never chosen, however high.
    predictions = np.asarray([[1.0, 0, 9, 9], [0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1]])
    score = TASK.score(predictions, references, CONTRACT)
    assert score["accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert score["accuracy_lowest"] == pytest.approx(2 / 3)
    assert TASK.score(predictions[3:], references[3:], CONTRACT)["accuracy"] == 1, "a head without rows is left out"
    told = TASK.evaluate(predictions, references, CONTRACT)
    assert [(each["name"], each["rows"]) for each in told["classes"]] == [("length", 3), ("mood", 1)]
    assert [each["name"] for each in told["heads"]["mood"]["classes"]] == ["negative", "positive"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "a", "label": "positive", "head": "other"}, "data.test: has heads that train lacks: other"),
        ({"text": "a", "label": "long", "head": "mood"}, "data.test (mood): has labels that train lacks: 'long'"),
        ({"text": " ", "label": "positive", "head": "mood"}, "data.test (mood): text must not be blank"),
    ],
)
def test_bad_rows(row: dict[str, str], said: str) -> None:
    good = [each for each in ROWS if each["head"] == "length"]
    (problem,) = TASK.check({"train": ROWS, "test": [*good, row, *ROWS[1:2]]})
    assert said in problem.message


def test_a_model_with_too_few_scores_is_told_so() -> None:
    labels = torch.tensor([[0, 0, 2], [3, 2, 4]])
    with pytest.raises(InputError, match="a score for each label of all heads, 4 or more, got 2"):
        TASK.loss({"logits": torch.zeros(2, 2)}, labels)
