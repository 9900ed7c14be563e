"""Text generation, on a tiny decoder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.spec.load import recipe as read_recipe
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.decoder import cache
from edgesft.tasks.decoder.sequences import POSITIONS, packed, worth
from edgesft.tasks.text_generation import TextGeneration
from edgesft.train import checkpoint
from edgesft.train.predictor import runner
from tests import tiny

TASK = TextGeneration()
ROWS = tiny.asked(6)


@pytest.fixture(scope="module")
def contract(llama: Path) -> Any:
    return TASK.contract(ROWS, TASK.implied(llama, {"max_length": 40}))


@pytest.fixture(scope="module")
def processor(llama: Path, contract: Any) -> Any:
    return TASK.load_processor(llama, contract)


@pytest.fixture(scope="module")
def examples(processor: Any, contract: Any) -> Any:
    return TASK.encode(ROWS, processor, contract)


@pytest.fixture(scope="module")
def model(llama: Path, contract: Any) -> Any:
    return TASK.load_model(llama, contract).eval()


def loss_of(model: Any, batch: dict[str, np.ndarray]) -> float:
    import torch

    inputs = {name: torch.as_tensor(values) for name, values in batch.items() if name != "labels"}
    return float(TASK.loss(model(**inputs), torch.as_tensor(batch["labels"])))


def test_the_contract_says_what_a_device_needs(contract: Any) -> None:
    options = contract.options
    assert options["cache"] == {"layers": 2, "heads": 2, "width": 8}
    assert (options["positions"], options["stop"], options["context"]) == (96, [2], 20)
    assert "eos_token" in options["template"]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_loss_is_that_of_answers_alone_however_rows_are_laid_out(kind: str, tmp_path: Path) -> None:
    folder = tiny.save_decoder(tmp_path, kind)
    contract = TASK.contract(ROWS, TASK.implied(folder, {"max_length": 64}))
    processor = TASK.load_processor(folder, contract)
    examples, model = TASK.encode(ROWS, processor, contract), TASK.load_model(folder, contract).eval()
    alone = TASK.predict(runner(model), examples, processor)
    expected = -alone[:, 0].sum() / alone[:, 1].sum()
    together = packed(examples, 64)
    assert len(together) < len(examples)
    assert loss_of(model, TASK.collate(examples, processor)) == pytest.approx(expected, abs=1e-5)
    assert loss_of(model, TASK.collate(together, processor)) == pytest.approx(expected, abs=1e-5)
    assert np.allclose(TASK.predict(runner(model), examples, processor, batch_size=4), alone, atol=1e-4)


def test_packing_loses_no_token(examples: Any, processor: Any) -> None:
    together = TASK.disturb(examples, processor, ResolvedTraining(packing=True), np.random.default_rng(0))
    assert all(len(each["input_ids"]) <= processor.max_length for each in together)
    assert sum(len(each["input_ids"]) for each in together) == sum(len(each["input_ids"]) for each in examples)
    assert all((each["labels"][each[POSITIONS] == 0] == -100).all() for each in together)


def test_long_rows_are_cut_and_a_row_without_an_answer_left_counts_nothing(
    processor: Any, contract: Any, model: Any
) -> None:
    (row,) = TASK.encode([{"prompt": "x" * 100, "answer": "y"}], processor, contract)
    assert len(row["input_ids"]) == 40
    assert TASK.predict(runner(model), [row], processor).tolist() == [[0.0, 0.0, 0.0]]
    assert loss_of(model, TASK.collate([row], processor)) == 0.0


def test_worth_is_the_log_probability() -> None:
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]], np.float32))
    assert np.allclose(worth(logits, np.array([[1, -100]])), [[np.log(0.25), 1, 0]])
    assert np.allclose(worth(logits, np.array([[0, 1]])), [[np.log(0.5) + np.log(0.8), 2, 2]])


def test_perplexity(contract: Any) -> None:
    told = TASK.evaluate(np.array([[-2.0, 2, 1], [-4.0, 4, 0]]), np.zeros(2), contract)
    assert told["averages"] == {"perplexity": pytest.approx(np.e), "tokens": 6}


def test_requests_say_one_token_at_the_stated_context(examples: Any, processor: Any) -> None:
    request = TASK.requests(examples, processor)[0]
    assert request["input_ids"].shape == (1, 1)
    assert request["past_key_0"].shape == (1, 2, 20, 8)
    opening = TASK.prefill_requests(examples, processor)["model"][0]
    assert opening["past_key_0"].shape == (1, 2, 0, 8)
    assert processor.decode(opening["input_ids"][0]).endswith("what is 0 and 0?\n")


def test_a_prompt_that_is_cut_is_sent_whole(processor: Any) -> None:
    cut = {"input_ids": np.arange(40), "labels": np.full(40, -100)}
    (opening,) = TASK.prefill_requests([cut], processor)["model"]
    assert opening["input_ids"].tolist() == [list(range(40))] and opening["logits_to_keep"].tolist() == [39]


def test_it_is_saved_and_read_again_with_its_tied_weights(
    model: Any, processor: Any, contract: Any, tmp_path: Path
) -> None:
    checkpoint.save(model, tmp_path, processor, contract)
    again = checkpoint.load(tmp_path, TASK)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert sum(parameter.numel() for parameter in again.parameters()) == sum(p.numel() for p in model.parameters())


def test_what_a_teacher_says_takes_the_place_of_the_answer(model: Any, examples: Any, processor: Any) -> None:
    for before, after in zip(examples, TASK.relabel(model, examples[:2], processor, lambda _: None), strict=False):
        begin = int(np.argmax(before["labels"] != -100))
        assert (after["input_ids"][:begin] == before["input_ids"][:begin]).all()
        assert (after["labels"][:begin] == -100).all() and (after["labels"][begin:] != -100).all()
        assert len(after["input_ids"]) <= 40


def test_pruning_and_fixed_shapes_are_refused(contract: Any) -> None:
    with pytest.raises(InputError, match="must not prune"):
        TASK.logits({})
    with pytest.raises(InputError, match="must leave shapes free"):
        TASK.longest(contract)


def test_a_model_that_lost_layers_is_refused(llama: Path, contract: Any, processor: Any, examples: Any) -> None:
    model = TASK.load_model(llama, contract)
    model.config.num_hidden_layers = 1
    with pytest.raises(InputError, match="leave the cache as it was"):
        TASK.graphs(model, processor, examples)


def test_models_that_are_no_decoders_are_refused(bert: Path) -> None:
    contract = TASK.contract([], TASK.implied(bert, {"max_length": 32}))
    assert any("decoder" in f"{each.message} {each.hint}" for each in TASK.check_model(bert, contract))


def test_a_template_that_the_tokenizer_lacks(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.template: must be a template that the tokenizer has"):
        TASK.implied(llama, {"max_length": 32, "template": "tokenizer"})
    shutil.copytree(llama, tmp_path / "own")
    (tmp_path / "own" / "chat_template.jinja").write_text("mine", "utf-8")
    assert TASK.implied(tmp_path / "own", {"max_length": 32})["template"] == "mine"
    assert TASK.implied(tmp_path / "own", {"max_length": 32, "template": "plain"})["template"] != "mine"


def test_rows_that_cannot_be_used() -> None:
    found = TASK.check({"train": [{"prompt": "a", "answer": ""}, {"prompt": "", "answer": "b"}], "validation": []})
    assert [each.message for each in found] == [
        "data.train: row 1 must have words as answer, got nothing, and 1 more such rows",
        "data.validation: must hold at least one row, got none",
    ]


@pytest.mark.parametrize(
    ("columns", "roles"),
    [("{}", ("prompt", "answer")), ("{text: body}", ("text",)), ("{messages: chat}", ("messages",))],
)
def test_the_columns_say_what_rows_are(columns: str, roles: tuple[str, ...], tmp_path: Path) -> None:
    place = tmp_path / "recipe.yaml"
    data = f"data: {{train: a.jsonl, columns: {columns}}}\n"
    place.write_text(f"version: 1\nmodel: m\ntask: text-generation\n{data}stages: [{{stage: finetune}}]\n", "utf-8")
    found, _, _ = read_recipe(place, ())
    assert found is not None and TextGeneration.of_recipe(found, tmp_path).roles == roles


def test_the_cache_of_gpt2_has_other_names() -> None:
    assert cache.shape_of({"n_layer": 3, "n_head": 4, "n_embd": 32}) == {"layers": 3, "heads": 4, "width": 8}
