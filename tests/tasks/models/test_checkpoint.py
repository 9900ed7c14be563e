"""What the files of a checkpoint tell without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgesft.errors import Problem
from edgesft.tasks.models import checkpoint
from edgesft.tasks.registry import TASKS
from edgesft.tasks.text_classification import TextClassification


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bert, tmp_path / "copy"))


def weights(folder: Path) -> str:
    return "\n".join(map(str, checkpoint.weight_problems(folder)))


def test_a_good_checkpoint(bert: Path) -> None:
    config = checkpoint.read_config(bert)
    assert isinstance(config, dict)
    assert checkpoint.weight_problems(bert) == []
    assert checkpoint.tokenizer_problems(bert, config) == []
    assert checkpoint.longest_input(bert, config) == 64


def test_config(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    assert "not valid JSON" in str(checkpoint.read_config(copy))
    (copy / "config.json").write_text("[]")
    assert "must hold an object, got list" in str(checkpoint.read_config(copy))
    (copy / "config.json").unlink()
    assert "holds no config.json" in str(checkpoint.read_config(copy))
    assert "no such folder" in str(checkpoint.read_config(copy / "none"))


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -100, -1])
def test_truncated_weights(copy: Path, kept: int) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "cut short" in weights(copy) or "is damaged: must be" in weights(copy)


def test_damaged_header(copy: Path) -> None:
    path = copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[8:12] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert "damaged header" in weights(copy)


def test_lfs_pointer(copy: Path) -> None:
    (copy / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert "Git LFS pointer" in weights(copy)
    assert "git lfs pull" in weights(copy)


def test_missing_weights_and_shards(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    assert "holds no weights" in weights(copy)
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert "'model-00002-of-00002.safetensors' is missing" in weights(copy)
    assert "00001-of" not in weights(copy)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_damaged_index(copy: Path, content: str) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text(content)
    assert "index.json' is damaged" in weights(copy)
    assert "index.json' is damaged" in str(checkpoint.label_problems(copy, ("a", "b"), TextClassification.head)[0])


def head(folder: Path, **tensors: tuple[int, ...]) -> None:
    """Adds tensors to the weights."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    state = {**load_file(path), **{name.replace("__", "."): torch.zeros(shape) for name, shape in tensors.items()}}
    path.unlink()
    save_file(state, path)


def names(folder: Path, *labels: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": dict(enumerate(labels))}))


def fits(folder: Path, *labels: str) -> bool:
    return not checkpoint.label_problems(folder, labels, TextClassification.head)


def test_two_classes_that_transformers_does_not_name(bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(bert).save_pretrained(tmp_path)
    assert "id2label" not in json.loads((tmp_path / "config.json").read_text())
    assert fits(tmp_path, "bad", "good")
    assert "a model without a head" in str(
        checkpoint.label_problems(tmp_path, ("a", "b", "c"), TextClassification.head)[0]
    )


def test_the_weights_tell_whether_there_is_a_head(copy: Path) -> None:
    head(copy, cls__seq_relationship__bias=(2,), qa_outputs__bias=(2,))
    assert not fits(copy, "a", "b"), "neither pretraining nor question answering makes a classifier"
    names(copy, "LABEL_0", "LABEL_1", "LABEL_2")
    assert not fits(copy, "a", "b", "c"), "a body that names its classes has no head"
    head(copy, score__weight=(3, 32))
    assert fits(copy, "a", "b", "c") and not fits(copy, "a", "b")
    names(copy, "c", "a", "b")
    assert fits(copy, "a", "b", "c")
    names(copy, "x", "y", "z")
    assert "got x, y, z" in str(checkpoint.label_problems(copy, ("a", "b", "c"), TextClassification.head)[0])


def test_a_head_in_a_shard(copy: Path) -> None:
    head(copy, logits_proj__bias=(3,))
    (copy / "model.safetensors").rename(copy / "one.safetensors")
    index = {"weight_map": {"logits_proj.bias": "one.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert fits(copy, "a", "b", "c") and not fits(copy, "a", "b")


def test_a_pickle_is_judged_by_its_names(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert not fits(copy, "a", "b")
    names(copy, "b", "a")
    assert fits(copy, "a", "b")


def test_tokenizer(copy: Path) -> None:
    assert "embeds only 10" in str(checkpoint.tokenizer_problems(copy, {"vocab_size": 10})[0])
    (copy / "tokenizer.json").unlink()
    assert "holds no tokenizer" in str(checkpoint.tokenizer_problems(copy, {})[0])


def test_longest_input_without_limits(copy: Path) -> None:
    (copy / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30}))
    assert checkpoint.longest_input(copy, {"max_position_embeddings": -1}) is None
    assert checkpoint.longest_input(copy, {"max_position_embeddings": 20}) == 20


@pytest.mark.parametrize("content", ["{", "[]"])
def test_longest_input_of_a_damaged_tokenizer(copy: Path, content: str) -> None:
    (copy / "tokenizer_config.json").write_text(content)
    assert "tokenizer_config.json' is damaged" in str(checkpoint.longest_input(copy, {}))


def test_remote_code() -> None:
    config = {"auto_map": {"AutoModel": "modeling.Own"}}
    problem = checkpoint.remote_code_problem(config, trusted=False)
    assert isinstance(problem, Problem)
    assert "trust_remote_code: true" in str(problem)
    assert "not supported yet" in str(checkpoint.remote_code_problem(config, trusted=True))
    assert checkpoint.remote_code_problem({}, trusted=False) is checkpoint.remote_code_problem({}, trusted=True) is None


@pytest.mark.parametrize("name", sorted({kind.heads for kind in TASKS.values() if hasattr(kind, "heads")}))
def test_heads_are_those_of_transformers(name: str) -> None:
    from transformers.models.auto import modeling_auto

    assert checkpoint.heads(name) == dict(getattr(modeling_auto, name))
