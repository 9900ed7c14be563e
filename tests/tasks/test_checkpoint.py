"""What the files of a checkpoint tell without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgesft.errors import Problem
from edgesft.tasks import checkpoint


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


def test_tokenizer(copy: Path) -> None:
    assert "embeds only 10" in str(checkpoint.tokenizer_problems(copy, {"vocab_size": 10})[0])
    (copy / "tokenizer.json").unlink()
    assert "holds no tokenizer" in str(checkpoint.tokenizer_problems(copy, {})[0])


def test_longest_input_without_limits(copy: Path) -> None:
    (copy / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30}))
    assert checkpoint.longest_input(copy, {"max_position_embeddings": -1}) is None
    assert checkpoint.longest_input(copy, {"max_position_embeddings": 20}) == 20


def test_remote_code() -> None:
    config = {"auto_map": {"AutoModel": "modeling.Own"}}
    problem = checkpoint.remote_code_problem(config, trusted=False)
    assert isinstance(problem, Problem)
    assert "trust_remote_code: true" in str(problem)
    assert checkpoint.remote_code_problem(config, trusted=True) is None
    assert checkpoint.remote_code_problem({}, trusted=False) is None


def test_heads_are_those_of_transformers() -> None:
    from transformers.models.auto import modeling_auto

    name = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"
    assert checkpoint.heads(name) == dict(getattr(modeling_auto, name))
