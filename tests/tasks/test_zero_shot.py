"""Labels that are known by their text, on a tiny encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft.tasks.zero_shot import ZeroShot, readable
from edgesft.train.predictor import runner
from tests import tiny

TASK = ZeroShot()
ROWS = [{**row, "label": "good_film" if row["label"] == "positive" else "badFilm"} for row in tiny.rows(40)]
CONTRACT = TASK.contract(ROWS, {"max_length": 16, "labels": {"warm_story": "a warm story", "good_film": ""}})


@pytest.fixture(scope="module")
def model(bert: Path) -> Any:
    torch.manual_seed(0)
    return TASK.load_model(bert, CONTRACT).eval()


@pytest.fixture(scope="module")
def tokenizer(bert: Path) -> Any:
    return TASK.load_processor(bert, CONTRACT)


@pytest.mark.parametrize(
    ("label", "text"), [("card_arrival", "card arrival"), ("cardArrival", "card arrival"), ("a-b/c", "a b c")]
)
def test_readable(label: str, text: str) -> None:
    assert readable(label) == text


def test_contract_tells_the_labels_texts() -> None:
    assert CONTRACT.labels == ("badFilm", "good_film", "warm_story")
    assert CONTRACT.options["texts"] == ["bad film", "good film", "a warm story"]
    assert CONTRACT.options["seen"] == [True, True, False]


def test_a_label_is_nearest_to_its_own_text(model: Any, tokenizer: Any) -> None:
    rows = [{"text": text} for text in CONTRACT.options["texts"]]
    logits = TASK.predict(runner(model), TASK.encode(rows, tokenizer, CONTRACT), tokenizer)
    assert logits.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(logits.diagonal(), 20, rtol=1e-5)


def test_labels_without_rows_are_not_learnt_to_be_wrong(model: Any, tokenizer: Any) -> None:
    batch = {
        name: torch.from_numpy(values)
        for name, values in TASK.collate(TASK.encode(ROWS[:4], tokenizer, CONTRACT), tokenizer).items()
    }
    labels = batch.pop("labels")
    assert (model(**batch)["logits"][:, 2] > -21).all()
    model.train()
    try:
        loss = TASK.loss(model(**batch), labels)
        two = torch.nn.functional.cross_entropy(model(**batch)["logits"][:, :2], labels)
        assert (model(**batch)["logits"][:, 2] < -1000).all()
    finally:
        model.eval()
    assert float(loss) < 5
    assert float(two) < 5


def test_unseen_rows_are_told_apart() -> None:
    references = np.asarray([0, 1, 2, 2])
    predictions = np.asarray([[3.0, 1, 2], [1, 3, 2], [3, 1, 2], [1, 2, 3]])
    averages = TASK.evaluate(predictions, references, CONTRACT)["averages"]
    assert (averages["accuracy_seen"], averages["accuracy_unseen"], averages["accuracy_among_unseen"]) == (1, 0.5, 1)


def test_labels_must_be_named_or_trained() -> None:
    test = [{"text": "a", "label": "warm_story"}, {"text": "a", "label": "else"}]
    (problem,) = TASK.check({"train": ROWS, "test": test}, {"labels": ["warm_story"]})
    assert "has labels that train lacks: 'else'" in problem.message
