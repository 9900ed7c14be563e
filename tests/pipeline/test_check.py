"""Bad input: each a clear message with what to try, all of them at once, nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesft.errors import InputError
from edgesft.pipeline.check import check
from tests import tiny

Change = Callable[[dict[str, Any], Path], None]


@pytest.fixture
def recipe(bert: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """Writes a good recipe with its data into a folder, after a change that spoils it."""

    def write(change: Change) -> Path:
        rows = tiny.rows(60)
        tiny.write_rows(tmp_path / "train.jsonl", rows[:40])
        tiny.write_rows(tmp_path / "dev.jsonl", rows[40:50])
        tiny.write_rows(tmp_path / "test.jsonl", rows[50:])
        shutil.copytree(bert, tmp_path / "bert")
        data: dict[str, Any] = {
            "version": 1,
            "model": "bert",
            "task": "text-classification",
            "data": {"train": "train.jsonl", "validation": "dev.jsonl", "test": "test.jsonl", "max_length": 32},
            "budget": {"max_drop": {"accuracy": 0.01}},
            "stages": [{"stage": "finetune"}, {"stage": "quantize"}],
        }
        change(data, tmp_path)
        place = tmp_path / "recipe.yaml"
        place.write_text(yaml.safe_dump(data), "utf-8")
        return place

    return write


def test_a_good_recipe_passes(recipe: Callable[[Change], Path]) -> None:
    checked = check(recipe(lambda data, folder: None))
    assert [profile.name for profile in checked.profiles] == ["x86-1-thread"] and not checked.warnings


def rewrite(name: str, rows: list[dict[str, Any]]) -> Change:
    return lambda data, folder: (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def put(*path: Any, value: Any) -> Change:
    def change(data: dict[str, Any], folder: Path) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return change


def truncate(data: dict[str, Any], folder: Path) -> None:
    file = folder / "bert" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def garble(data: dict[str, Any], folder: Path) -> None:
    (folder / "bert" / "model.safetensors").write_bytes(b"not weights at all")


def remote_code(data: dict[str, Any], folder: Path) -> None:
    config = folder / "bert" / "config.json"
    extra = {"auto_map": {"AutoModelForSequenceClassification": "modeling_x.X"}, "model_type": "unheard-of"}
    config.write_text(json.dumps({**json.loads(config.read_text()), **extra}))


def trusted_code(data: dict[str, Any], folder: Path) -> None:
    remote_code(data, folder)
    data["trust_remote_code"] = True


def index(data: dict[str, Any], folder: Path) -> None:
    (folder / "bert" / "model.safetensors").rename(folder / "bert" / "model.safetensors.index.json")


def decoder(data: dict[str, Any], folder: Path) -> None:
    config = folder / "bert" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "vits"}))


def overlap(data: dict[str, Any], folder: Path) -> None:
    (folder / "test.jsonl").write_text((folder / "train.jsonl").read_text())


GOOD = {"text": "the good film", "label": "positive"}

CASES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "misspelt key": (put("modle", value=1), ("'modle' is not a key here", "Try: 'model'")),
    "wrong type": (put("seed", value="x"), ("'seed' must be a valid integer",)),
    "out of range": (put("stages", 0, "epochs", value=-1), ("'epochs' must be greater than 0",)),
    "missing file": (put("data", "train", value="trian.jsonl"), ("no such file", "train.jsonl")),
    "unset variable": (put("data", "train", value="${NO_SUCH_PLACE}/t.jsonl"), ("variable that is not set",)),
    "missing column": (put("data", "columns", value={"text": "sentence"}), ("'sentence'", "data.columns.text=text")),
    "empty split": (rewrite("dev.jsonl", []), ("dev.jsonl",)),
    "one class": (rewrite("train.jsonl", [GOOD]), ("at least two labels", "'positive'")),
    "unseen label": (
        rewrite("test.jsonl", [{"text": "so so", "label": "neutral"}]),
        ("labels that train lacks: 'neutral'",),
    ),
    "overlap": (overlap, ("also in train", "allow_overlap")),
    "truncated weights": (truncate, ("model", "bytes")),
    "corrupt weights": (garble, ("model",)),
    "remote code": (remote_code, ("trust_remote_code",)),
    "trusted remote code": (trusted_code, ("not supported yet", "architecture that transformers has")),
    "damaged index": (index, ("model.safetensors.index.json' is damaged",)),
    "wrong kind of model": (decoder, ("sequence-classification head",)),
    "missing model": (put("model", value="./brt"), ("no such folder", "bert")),
    "missing package": (put("model", value="pkg://no_such_package/model"), ("not installed", "pip install")),
    "unknown task": (put("task", value="text-clasification"), ("text-classification",)),
    "order": (
        put("stages", value=[{"stage": "finetune"}, {"stage": "quantize"}, {"stage": "prune", "parameters": 0.5}]),
        ("must start from a torch",),
    ),
    "unmeasured metric": (
        put("budget", "max_drop", value={"acuracy": 0.1}),
        ("this task does not measure", "Try: 'accuracy'"),
    ),
    "unknown profile": (put("profile", value="raspberry-pi5"), ("known profile", "'raspberry-pi-5'")),
    "too long": (put("data", "max_length", value=500), ("data.max_length",)),
    "setting of another task": (
        put("stages", 0, "sampling", value=0.5),
        ("'sampling' must be left out for text-classification", "stages.0.sampling"),
    ),
    "teacher": (put("stages", 1, value={"stage": "distill", "teacher": "./x"}), ("no such folder",)),
}


SEVERAL = {"missing column": 3, "one class": 3}
"""Cases that are wrong in each of the three splits."""


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, recipe: Callable[[Change], Path]) -> None:
    change, words = CASES[case]
    place = recipe(change)
    with pytest.raises(InputError) as error:
        check(place)
    for word in words:
        assert word in str(error.value), str(error.value)
    assert error.value.exit_code == 2 and len(error.value.problems) == SEVERAL.get(case, 1), str(error.value)


def test_problems_of_all_kinds_at_once(recipe: Callable[[Change], Path]) -> None:
    def spoil(data: dict[str, Any], folder: Path) -> None:
        for case in (
            "misspelt key",
            "out of range",
            "unseen label",
            "unmeasured metric",
            "unknown profile",
            "truncated weights",
        ):
            CASES[case][0](data, folder)

    with pytest.raises(InputError) as error:
        check(recipe(spoil))
    assert len(error.value.problems) == 6


def test_a_little_overlap_is_a_warning(recipe: Callable[[Change], Path]) -> None:
    def leak(data: dict[str, Any], folder: Path) -> None:
        rows = tiny.rows(400, seed=5)
        tiny.write_rows(folder / "train.jsonl", rows[:150])
        tiny.write_rows(folder / "test.jsonl", rows[149:])

    assert "also in train" in check(recipe(leak)).warnings[0]


def fine_tuned(folder: Path, *labels: str) -> None:
    import torch
    from safetensors.torch import load, save_file

    weights = folder / "model.safetensors"
    save_file({**load(weights.read_bytes()), "classifier.bias": torch.zeros(len(labels))}, weights)
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "id2label": dict(enumerate(labels))}))


def test_without_finetuning_the_model_must_know_the_labels(recipe: Callable[[Change], Path]) -> None:
    def quantize_only(data: dict[str, Any], folder: Path) -> None:
        data["stages"] = [{"stage": "quantize"}]

    place = recipe(quantize_only)
    with pytest.raises(InputError, match="for the labels negative, positive, got a model without"):
        check(place)
    fine_tuned(place.parent / "bert", "sad", "happy")
    with pytest.raises(InputError, match="got sad, happy"):
        check(place)
    for labels in (("positive", "negative"), ("LABEL_0", "LABEL_1")):
        fine_tuned(place.parent / "bert", *labels)
        check(place)


def test_a_teacher_must_know_the_labels(recipe: Callable[[Change], Path]) -> None:
    def untrained(data: dict[str, Any], folder: Path) -> None:
        data["stages"].insert(1, {"stage": "distill", "teacher": "bert"})

    with pytest.raises(InputError, match="already be fine-tuned"):
        check(recipe(untrained))


def test_a_teacher_with_another_tokenizer(recipe: Callable[[Change], Path]) -> None:
    def other(data: dict[str, Any], folder: Path) -> None:
        shutil.copytree(folder / "bert", folder / "other")
        fine_tuned(folder / "other", "negative", "positive")
        tokenizer = folder / "other" / "tokenizer.json"
        said = json.loads(tokenizer.read_text())
        vocabulary = said["model"]["vocab"]
        said["model"]["vocab"] = dict(zip(vocabulary, reversed(vocabulary.values()), strict=True))
        tokenizer.write_text(json.dumps(said))
        data["stages"].insert(1, {"stage": "distill", "teacher": "other"})

    with pytest.raises(InputError, match="another tokenizer"):
        check(recipe(other))


def test_training_for_int8_where_the_profile_has_none(recipe: Callable[[Change], Path]) -> None:
    def spoil(data: dict[str, Any], folder: Path) -> None:
        profile = {"name": "wide", "description": "fp32 alone", "providers": [{"name": "CPUExecutionProvider"}]}
        (folder / "wide.yaml").write_text(yaml.safe_dump({**profile, "precisions": ["fp32"]}), "utf-8")
        data |= {"profile": "wide.yaml", "stages": [{"stage": "finetune", "quantization": "int8-static"}]}

    with pytest.raises(InputError, match=r"stages\.0.*'quantization: int8-static' must be allowed by the profile"):
        check(recipe(spoil))


def test_training_for_int8_where_the_provider_has_none(recipe: Callable[[Change], Path]) -> None:
    def spoil(data: dict[str, Any], folder: Path) -> None:
        profile = {"name": "gpu", "description": "no int8", "providers": [{"name": "CUDAExecutionProvider"}]}
        (folder / "gpu.yaml").write_text(yaml.safe_dump(profile), "utf-8")
        data |= {"profile": "gpu.yaml", "stages": [{"stage": "finetune", "quantization": "int8-static"}]}

    with pytest.raises(InputError, match=r"'quantization: int8-static'.*CUDAExecutionProvider, which has no kernels"):
        check(recipe(spoil))


def test_int8_to_prune_for_where_the_profile_has_none(recipe: Callable[[Change], Path]) -> None:
    def spoil(data: dict[str, Any], folder: Path) -> None:
        profile = {"name": "wide", "description": "fp32 alone", "providers": [{"name": "CPUExecutionProvider"}]}
        (folder / "wide.yaml").write_text(yaml.safe_dump({**profile, "precisions": ["fp32"]}), "utf-8")
        prune = {"stage": "prune", "latency": 0.5, "precision": "int8-dynamic"}
        data |= {"profile": "wide.yaml", "stages": [{"stage": "finetune"}, prune]}

    with pytest.raises(InputError, match=r"stages\.1.*'precision: int8-dynamic' must be allowed by the profile"):
        check(recipe(spoil))


def test_what_is_left_to_be_found_is_a_number_afterwards(recipe: Callable[[Change], Path]) -> None:
    found = check(recipe(put("stages", value="auto"))).recipe.stages
    assert [stage.stage for stage in found] == ["finetune", "prune", "distill", "optimize", "quantize"]
    assert found[0].epochs == 30 and found[1].learning_rate == 1e-4
