"""Text to text, on a tiny encoder-decoder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.pipeline.reading import reading
from edgesft.tasks.text_to_text import ENCODER, TARGETS, TextToText
from edgesft.train.predictor import runner
from tests import tiny

pytest.importorskip("sacrebleu", reason="needs edgesft[text]")

TASK = TextToText()
ROWS = [*tiny.translated(6), {"input": "say 2", "target": "two it is"}]


@pytest.fixture(scope="module")
def contract(t5: Path) -> Any:
    return TASK.contract(ROWS, TASK.implied(t5, {"max_length": 24}))


@pytest.fixture(scope="module")
def processor(t5: Path, contract: Any) -> Any:
    return TASK.load_processor(t5, contract)


@pytest.fixture(scope="module")
def examples(processor: Any, contract: Any) -> Any:
    return TASK.encode(TASK.merge_references(ROWS), processor, contract)


@pytest.fixture(scope="module")
def model(t5: Path, contract: Any) -> Any:
    return TASK.load_model(t5, contract).eval()


def predicted(model: Any, examples: Any, processor: Any, size: int = 1) -> np.ndarray:
    return TASK.predict(runner(model, TASK.modules), examples, processor, batch_size=size)


def said(row: np.ndarray) -> str:
    return "".join(map(chr, row[4 : 4 + int(row[3])].astype(int)))


def test_the_contract_says_what_a_device_needs(contract: Any) -> None:
    options = contract.options
    assert options["cache"] == {"layers": 1, "heads": 4, "width": 8}
    told = {"positions": None, "start": 0, "stop": [1], "context": 12, "words": "13a"}
    assert {name: options[name] for name in told} == told


def test_rows_with_the_same_input_are_one_where_answers_are_judged(examples: Any) -> None:
    assert [len(row[TARGETS]) for row in TASK.merge_references(ROWS)] == [1, 1, 2, 1, 1, 1]
    assert examples[2]["labels"].shape[0] == 2
    assert TASK.references(examples)[2] == ("it is 2!!", "two it is")


def test_the_loss_is_that_of_targets_alone(model: Any, examples: Any, processor: Any) -> None:
    import torch

    batch = TASK.collate(examples, processor)
    assert len(batch["labels"]) == len(ROWS) and (batch["attention_mask"].sum(1) == [6] * 7).all()
    inputs = {name: torch.as_tensor(values) for name, values in batch.items() if name != "labels"}
    loss = float(TASK.loss(model(**inputs), torch.as_tensor(batch["labels"])))
    alone = predicted(model, examples, processor)
    assert loss == pytest.approx(-alone[:, 0].sum() / alone[:, 1].sum(), abs=1e-5)
    assert alone[:, 1].sum() == (batch["labels"] != -100).sum()
    score = TASK.score(alone, TASK.references(examples), TASK.contract(ROWS, {"max_length": 24}))
    assert score["log_likelihood"] == pytest.approx(-loss, abs=1e-5)


def test_padding_changes_nothing(model: Any, processor: Any, contract: Any) -> None:
    import torch

    rows = TASK.encode([{"input": "x" * n, "target": "y" * (9 - n)} for n in (1, 8, 3, 3)], processor, contract)
    alone = predicted(model, rows, processor)
    assert np.allclose(predicted(model, rows, processor, 3)[:, :4], alone[:, :4], atol=1e-5)
    batch = {name: torch.as_tensor(values) for name, values in TASK.collate(rows, processor).items()}
    labels = batch.pop("labels")
    assert float(TASK.loss(model(**batch), labels)) == pytest.approx(-alone[:, 0].sum() / alone[:, 1].sum(), abs=1e-5)


@pytest.mark.parametrize("kind", ["t5", "mt5", "umt5"])
def test_answers_are_what_transformers_generates(kind: str, tmp_path: Path) -> None:
    import torch

    folder = tiny.save_t5(tmp_path, kind)
    contract = TASK.contract(ROWS, TASK.implied(folder, {"max_length": 24}))
    assert TASK.check_model(folder, contract) == []
    processor = TASK.load_processor(folder, contract)
    examples, model = TASK.encode(ROWS[:3], processor, contract), TASK.load_model(folder, contract).eval()
    answers = [said(row) for row in predicted(model, examples, processor)]
    for answer, example in zip(answers, examples, strict=True):
        given = torch.as_tensor(example["input_ids"])[None]
        whole = model.generate(given, do_sample=False, max_new_tokens=24, use_cache=True)[0]
        assert answer == processor.decode(whole, skip_special_tokens=True)
    assert max(len(set(answer)) for answer in answers) > 2


def test_what_a_teacher_says_takes_the_place_of_the_target(model: Any, examples: Any, processor: Any) -> None:
    told = list[int]()
    found = TASK.relabel(model, examples, processor, told.append)
    assert sum(told) == len(examples)
    for before, after, row in zip(examples, found, predicted(model, examples, processor), strict=True):
        assert (after["input_ids"] == before["input_ids"]).all() and after["labels"].shape[0] == 1
        assert processor.decode(after["labels"][0], skip_special_tokens=True) == said(row)


def test_long_texts_are_cut_and_counted(processor: Any, contract: Any) -> None:
    rows = [{"input": "x" * 40, "target": "y" * 40}, {"input": "x", "target": "y" * 30}, {"input": "x", "target": "y"}]
    cut, _, whole = TASK.encode(rows, processor, contract)
    assert len(cut["input_ids"]) == 24 and cut["input_ids"][-1] == 1, "what ends a text stays"
    assert cut["labels"].shape == (1, 24) and cut["labels"][0, -1] != 1, "what was cut has not ended"
    assert whole["labels"][0, -1] == 1
    assert reading(TASK, rows, processor, contract)["cut"] == 2


def test_a_prefix_stands_before_each_input(t5: Path) -> None:
    contract = TASK.contract(ROWS, TASK.implied(t5, {"max_length": 24, "prefix": "put: "}))
    processor = TASK.load_processor(t5, contract)
    (row,) = TASK.encode([{"input": "a", "target": "b"}], processor, contract)
    assert processor.decode(row["input_ids"], skip_special_tokens=True) == "put: a"
    assert TASK.prompt([{"role": "user", "content": "a"}], processor) == row["input_ids"].tolist()


def test_requests_say_one_token_at_the_stated_context(examples: Any, processor: Any) -> None:
    request = TASK.requests(examples, processor)[0]
    assert request["input_ids"].shape == (1, 1)
    assert request["past_key_0"].shape == (1, 4, 12, 8) and request["cross_key_0"].shape == (1, 4, 6, 8)
    opening = TASK.prefill_requests(examples, processor)
    assert list(opening) == list(TASK.files(Path("model.onnx"))) == [ENCODER, "model"]
    assert opening["model"][0]["past_key_0"].shape == (1, 4, 0, 8)


def test_only_some_rows_are_answered_in_words(
    model: Any, examples: Any, processor: Any, contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesft.tasks.text_to_text.ANSWERED", 2)
    found = predicted(model, examples, processor)
    assert (found[:, 3] >= 0).tolist() == [True, False, False, False, False, True]
    assert (found[:, 1] > 0).all()
    told = TASK.evaluate(found, TASK.references(examples), contract)
    assert told["averages"]["answers"] == 2 and told["rows"] == len(examples)


def test_models_that_are_laid_out_otherwise_are_refused(bert: Path, t5: Path, tmp_path: Path) -> None:
    def wrong(folder: Path) -> str:
        contract = TASK.contract(ROWS, TASK.implied(folder, {"max_length": 24}))
        return " ".join(f"{each.message} {each.hint}" for each in TASK.check_model(folder, contract))

    assert "text2text-generation head" in wrong(bert) and "t5" in wrong(bert)
    shutil.copytree(t5, tmp_path / "bart")
    config = (t5 / "config.json").read_text("utf-8").replace('"model_type": "t5"', '"model_type": "bart"')
    (tmp_path / "bart" / "config.json").write_text(config, "utf-8")
    assert "got model_type 'bart'" in wrong(tmp_path / "bart")


def test_rows_that_cannot_be_used() -> None:
    found = TASK.check({"train": [{"input": "a", "target": " "}, {"input": "", "target": "b"}], "validation": ROWS})
    assert len(found) == 1
    assert found[0].message == "data.train: row 1 must have words as target, got nothing, and 1 more such rows"


def test_pruning_and_fixed_shapes_are_refused(contract: Any) -> None:
    with pytest.raises(InputError, match="must not prune for text-to-text"):
        TASK.logits({})
    with pytest.raises(InputError, match="must leave shapes free for text-to-text"):
        TASK.longest(contract)
