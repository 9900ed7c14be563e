from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgesft.errors import InputError
from edgesft.train import checkpoint
from tests.train import pruned
from tests.train.mood import Mood, digest


@pytest.fixture
def folder(task: Mood, tmp_path: Path) -> Path:
    checkpoint.save(task.model(), tmp_path / "model", task.processor, task.contract)
    return tmp_path / "model"


def names(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_round_trip(task: Mood, folder: Path) -> None:
    model = checkpoint.load(folder, task.task)
    assert digest(model) == digest(task.model())
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert {"config.json", "model.safetensors", "contract.json", "tokenizer.json"} <= set(names(folder))
    assert "widths.json" not in names(folder)
    processor = task.task.load_processor(folder, task.contract)
    assert processor("a lovely film")["input_ids"] == task.processor("a lovely film")["input_ids"]


def test_same_bytes_again_and_nothing_of_this_machine(task: Mood, folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    checkpoint.save(checkpoint.load(folder, task.task), again, task.processor, task.contract)
    assert names(again) == names(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert str(task.source) not in (folder / "config.json").read_text("utf-8")


def test_pruned_model(task: Mood, tmp_path: Path) -> None:
    model: Any = task.model().eval()
    pruned.bert(model)
    checkpoint.save(model, tmp_path / "pruned", task.processor, task.contract)
    again: Any = checkpoint.load(tmp_path / "pruned", task.task)
    # The attention computes without these two, but pruning and exporting go by them.
    attention = again.bert.encoder.layer[0].attention.self
    assert (attention.num_attention_heads, attention.all_head_size) == (2, 16)
    batch = {name: torch.as_tensor(array) for name, array in task.task.collate(task.train[:4], task.processor).items()}
    batch.pop("labels")
    with torch.inference_mode():
        assert torch.equal(model(**batch).logits, again(**batch).logits)
    checkpoint.save(again, tmp_path / "again", task.processor, task.contract)
    assert names(tmp_path / "again") == names(tmp_path / "pruned")
    assert task.fit(again, tmp_path / "work").best["accuracy"] >= 0.95, "what was loaded must train"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "contract.json"])
def test_missing_file(task: Mood, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}.*missing"):
        checkpoint.load(folder, task.task)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "contract.json"])
def test_truncated_file(task: Mood, folder: Path, name: str) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged") as caught:
        checkpoint.load(folder, task.task)
    assert caught.value.problems[0].hint


def test_missing_and_unknown_tensors(task: Mood, folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["stranger"] = state.pop("classifier.weight")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"lacks the tensors classifier\.weight and has the unknown tensors stranger"):
        checkpoint.load(folder, task.task)


def test_restore_is_in_place(task: Mood, tmp_path: Path) -> None:
    model = task.model()
    before, weight = digest(model), next(model.parameters())
    checkpoint.write_weights(model, tmp_path / "weights.safetensors")
    torch.nn.init.zeros_(weight)
    checkpoint.restore_weights(model, tmp_path / "weights.safetensors")
    assert digest(model) == before
    assert next(model.parameters()) is weight
