"""A model of one's own on arrays: declared, loaded, learnt, and taken through every stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgesft import api
from edgesft.errors import InputError
from edgesft.progress import Progress
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.models import factory
from edgesft.tasks.models.source import digest
from edgesft.train import checkpoint
from edgesft.train.batches import Steps
from tests import chain
from tests.tasks import nets

HERE = Path(__file__).parent


def arrays(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Six numbers; the class tells whether two of them are of one sign."""
    x = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    return {"x": x, "label": (x[:, 0] * x[:, 1] > 0).astype(np.int64)}


def rows(count: int) -> list[dict[str, Any]]:
    made = arrays(count)
    return [{"x": x, "label": int(label)} for x, label in zip(made["x"], made["label"], strict=True)]


def given(**changes: Any) -> factory.Factory:
    return factory.resolve(FactorySpec.model_validate({"factory": "nets:make", "path": str(HERE), **changes}), HERE)


def loaded(**changes: Any) -> Any:
    task = Arrays()
    return task.load_model(given(**changes), task.contract(rows(4), {}))


def test_weights_are_loaded_and_saved_again(tmp_path: Path) -> None:
    torch.manual_seed(3)
    save_file(nets.make(8).state_dict(), tmp_path / "w.safetensors")
    source = given(arguments={"width": 8}, weights=str(tmp_path / "w.safetensors"))
    task = Arrays()
    contract = task.contract(rows(4), {})
    model = task.load_model(source, contract)
    checkpoint.save(model, tmp_path / "model", task.load_processor(source, contract), contract)
    again = checkpoint.load(tmp_path / "model", task)
    x = torch.randn(3, 6)
    assert torch.equal(model.eval()(x=x)["logits"], again(x=x)["logits"])
    assert source.problems() == []


def test_a_model_with_too_many_scores() -> None:
    task = Arrays()
    contract = task.contract(rows(8), {})
    assert not task.check_outputs({"logits": torch.zeros(3, 2)}, contract)
    (problem,) = task.check_outputs({"logits": torch.zeros(3, 5)}, contract)
    assert problem.message == "model: must give a score for each of 2 labels, got 5"


def test_the_digest_follows_module_arguments_and_weights(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from torch import nn\ndef make(n=1):\n    return nn.Linear(n, n)\n")
    spec = {"factory": "mine:make", "path": str(tmp_path)}
    first = digest(given(**spec))
    assert digest(given(**spec, arguments={"n": 2})) != first
    (tmp_path / "mine.py").write_text("from torch import nn\ndef make(n=1):\n    return nn.Linear(n, n + 1)\n")
    assert digest(given(**spec)) != first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factory": "nets:broken"}, "must return a module. It raised ValueError: out of paper"),
        ({"factory": "nets:number"}, "must return an nn.Module, got int"),
        ({"factory": "nets:none"}, "must have a function 'none', got none"),
        ({"factory": "nowhere:make"}, "must name a module, got 'nowhere', which is not found"),
        ({"arguments": {"depth": 3}}, "It raised TypeError"),
        ({"weights": "none.safetensors"}, "no such file"),
    ],
)
def test_a_factory_that_fails(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        loaded(**changes)
    assert said in str(caught.value)


def test_weights_of_another_model(tmp_path: Path) -> None:
    save_file(nets.make(8, classes=3).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"has of another shape head\.bias, head\.weight"):
        loaded(arguments={"width": 8}, weights=str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": [1.0, 2.0]}, "x must be of the shape of the rows before, [6], got [2] in row 2"),
        ({"x": [[1], [1, 2]]}, "x must be an array, got lists of several lengths in row 2"),
        ({"x": ["a"] * 6}, "x must be numbers"),
        ({"x": [np.nan] * 6}, "x must be finite numbers"),
        ({"label": 0.5}, "model.metric: must be r2 or your own function for labels that are numbers"),
    ],
)
def test_bad_rows(changes: dict[str, Any], said: str) -> None:
    good = rows(4)
    (problem,) = Arrays().check({"train": [good[0], {**good[1], **changes}, *good[2:]]})
    assert said in problem.message


def test_bad_declarations() -> None:
    problems = Arrays(loss="hinge", metric="none:at_all").check({"train": rows(8)})
    assert "model.loss: must be auto, cross_entropy, mse, l1, huber or module:function, got 'hinge'" in str(problems[0])
    assert "model.metric: must name a module" in str(problems[1])


def test_numbers_are_learnt_as_numbers() -> None:
    task = Arrays(metric="r2")
    made = [{"x": row["x"], "label": float(row["x"].sum())} for row in rows(5)]
    contract = task.contract(made, {})
    assert (contract.labels, task.check({"train": made})) == ((), [])
    examples = task.encode(made, None, contract)
    labels = torch.from_numpy(task.references(examples))
    assert float(task.loss({"logits": labels[:, None] + 2}, labels)) == pytest.approx(4)
    assert task.score(labels.numpy()[:, None], labels.numpy(), contract) == {"r2": 1.0}


@pytest.mark.parametrize("declared", [{"metric": "r2"}, {"loss": "huber", "metric": "nets:hits"}])
def test_whole_numbers_are_targets_where_the_loss_or_the_metric_is_of_numbers(declared: dict[str, str]) -> None:
    task = Arrays(**declared, path=HERE)
    made = [{"x": row["x"], "label": 10 * number} for number, row in enumerate(rows(4))]
    contract = task.contract(made, {})
    assert contract.labels == () and task.classes(made[0]) == []
    assert task.check({"train": made, "validation": [{**made[0], "label": 2.5}]}) == []
    references = task.references(task.encode(made, None, contract))
    assert references.dtype == np.float32 and references.tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("declared", "label", "said"),
    [
        ({"metric": "r2"}, "ten", "data.train: label must be numbers, got <U3 in row 2"),
        ({"metric": "r2"}, [1, 2], "data.train: label must be of the shape of the rows before, [], got [2] in row 2"),
        ({"loss": "mse"}, 10, "model.metric: must be r2 or your own function for labels that are numbers"),
        ({"loss": "cross_entropy", "metric": "r2"}, 10, "model.metric: must be accuracy or your own function with"),
    ],
)
def test_labels_that_are_no_targets(declared: dict[str, str], label: Any, said: str) -> None:
    made = [{"x": row["x"], "label": 20} for row in rows(4)]
    made[1]["label"] = label
    (problem,) = Arrays(**declared).check({"train": made})
    assert said in problem.message


def test_fractions_where_train_has_classes() -> None:
    (problem,) = Arrays().check({"train": rows(8), "validation": [{**rows(1)[0], "label": 0.5}]})
    assert "data.validation: label must be a name or a whole number, got 0.5 in row 1" in problem.message


def test_inputs_have_one_type_in_all_rows() -> None:
    task = Arrays(inputs=("x", "count"))
    made = [{"x": [0, number], "count": [number, 3], "label": number % 2} for number in range(4)]
    made[2]["x"] = [0.5, 1]
    contract = task.contract(made, {})
    assert {name: told["dtype"] for name, told in contract.options["inputs"].items()} == {
        "x": "float32",
        "count": "int64",
    }
    examples = task.encode(made, None, contract)
    assert {(each["x"].dtype.name, each["count"].dtype.name) for each in examples} == {("float32", "int64")}
    assert examples[2]["x"].tolist() == [0.5, 1] and examples[3]["x"].tolist() == [0, 3]
    # Whole numbers that are written with a point lose nothing.
    assert task.encode([{**made[0], "count": [1.0, 2.0]}], None, contract)[0]["count"].dtype == np.int64
    wrong = [{**made[0], "count": [0.5, 1]}]
    (problem,) = task.check({"train": made, "validation": wrong})
    assert problem.message == "data.validation: count must be whole numbers like those of train, got others in row 1"
    with pytest.raises(InputError, match="count: must be whole numbers, as the model was trained on"):
        task.encode(wrong, None, contract)


def test_what_is_no_number_is_no_answer() -> None:
    task, contract = Arrays(), Arrays().contract(rows(8), {})
    scores = np.array([[np.nan, 0.0], [0.0, 1.0]], np.float32)
    assert task.score(scores, np.array([0, 1]), contract) == {"accuracy": 0.5}
    same = task.agree(scores, scores)
    assert same is not None and same.tolist() == [False, True]


def images(count: int, seed: int) -> dict[str, np.ndarray]:
    """Noise with a bar; the class tells whether it stands."""
    rng = np.random.default_rng(seed)
    x, label = rng.normal(size=(count, 1, 8, 8)).astype(np.float32) * 0.5, rng.integers(0, 2, count)
    for picture, standing, place in zip(x[:, 0], label, rng.integers(0, 8, count), strict=True):
        (picture.T if standing else picture)[place] += 2
    return {"x": x, "label": label}


def test_a_convolutional_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = (
        {**chain.STAGES[0], "epochs": 4, "learning_rate": 1.0e-2},
        {**chain.STAGES[1], "parameters": 0.5, "channel_multiple": 1, "learning_rate": 5.0e-3},
        {**chain.STAGES[3], "scheme": "int8-static"},
    )
    model, data = {"factory": "nets:image", "path": str(HERE)}, {}
    for seed, (name, count) in enumerate((("train", 400), ("validation", 100), ("test", 100))):
        np.savez(tmp_path / f"{name}.npz", **images(count, seed))
        data[name] = f"{name}.npz"
    recipe = chain.write(tmp_path, HERE, stages=stages, model=model, task="arrays", data=data)
    api.run(recipe, output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    first, pruned, last = results["stages"]
    assert pruned["parameters"] <= 0.55 * first["parameters"]
    assert all(stage["metrics"]["test"]["accuracy"] > 0.85 for stage in results["stages"]), results["stages"]
    assert last["size_bytes"] < pruned["size_bytes"] < first["size_bytes"]


@pytest.mark.parametrize("own", [{}, {"loss": "nets:focal", "metric": "nets:hits"}])
def test_every_stage(own: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = (
        {**chain.STAGES[0], "epochs": 10, "learning_rate": 1.0e-2},
        {**chain.STAGES[1], "targets": ["ffn"], "learning_rate": 1.0e-3},
        {**chain.STAGES[2], "hidden_weight": 0},
        chain.STAGES[3],
    )
    model = {"factory": "nets:make", "path": str(HERE), "arguments": {"width": 24}, **own}
    recipe = chain.write(tmp_path, HERE, stages=stages, model=model, task="arrays", budget={"size_ratio": 0.95})
    for seed, (name, count) in enumerate((("train", 400), ("dev", 100), ("test", 100))):
        np.savez(tmp_path / f"{name}.npz", **arrays(count, seed))
    settings = ["data.train=train.npz", "data.validation=dev.npz", "data.test=test.npz"]
    api.run(recipe, settings, output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert [stage["stage"] for stage in results["stages"]] == ["finetune", "prune", "distill", "quantize"]
    assert results["stages"][0]["metrics"]["test"][results["metric"]] > 0.8
    assert results["stages"][-1]["parameters"] < results["stages"][0]["parameters"]
    assert results["stages"][-1]["size_bytes"] < results["stages"][0]["size_bytes"]
    # The receipt's recipe runs from anywhere.
    again = api.run(tmp_path / "run" / "recipe.yaml", output=tmp_path / "again", progress=Progress(quiet=True))
    assert again.verdict == "pass"


def test_batches_of_large_arrays_are_computed_whole() -> None:
    task, large = Arrays(), {"x": np.zeros((3, 64, 64), np.float32), "labels": np.int64(0)}
    steps = Steps(task, None, [large] * 32, ResolvedTraining(batch_size=32, epochs=1.0), 0)
    assert steps.parts(0) == 1


def test_rows_are_mixed_into_each_other() -> None:
    task, settings = Arrays(), ResolvedTraining(mixup=0.5)
    batch = {
        "x": np.arange(8, dtype=np.float32).reshape(8, 1, 1) * np.ones((1, 2, 2), np.float32),
        "count": np.arange(8),
        "labels": np.arange(8),
    }
    found = task.augment(batch, None, settings, np.random.default_rng(0))
    assert (found["labels"] == batch["labels"]).all() and (found["count"] == batch["count"]).all()
    assert (found["x"] == found["x"][:, :1, :1]).all() and (found["x"] != batch["x"]).any()
    numbers = {"x": batch["x"], "labels": batch["x"][:, 0, 0]}
    told = task.augment(numbers, None, settings, np.random.default_rng(0))
    assert (told["x"][:, 0, 0] == told["labels"]).all(), "numbers are mixed as their rows are"
    assert task.training - Arrays(metric="r2").training == {"class_weights"}


def test_rows_are_mirrored_and_moved() -> None:
    rng = np.random.default_rng(0)
    batch = {"x": rng.random((64, 3, 8, 6), np.float32), "one": np.arange(128).reshape(64, 2), "labels": np.arange(64)}
    whole = Arrays().augment(batch, None, ResolvedTraining(flip=1.0), rng)
    assert (whole["x"] == batch["x"][..., ::-1]).all() and (whole["one"] == batch["one"][:, ::-1]).all()
    half = Arrays().augment(batch, None, ResolvedTraining(flip=0.5), rng)["x"]
    mirrored = [bool((new == old[..., ::-1]).all()) for new, old in zip(half, batch["x"], strict=True)]
    assert 16 < sum(mirrored) < 48
    assert all((new == old).all() for new, old, was in zip(half, batch["x"], mirrored, strict=True) if not was)

    moved = Arrays().augment(batch, None, ResolvedTraining(shift=(0.25, 0.0)), rng)
    found = set()
    for new, old in zip(moved["x"], batch["x"], strict=True):
        edged = np.pad(old, ((0, 0), (2, 2), (0, 0)), mode="edge")
        found |= {start - 2 for start in range(5) if (edged[:, start : start + 8] == new).all()}
    assert found == {-2, -1, 0, 1, 2} and moved["x"].dtype == np.float32
    assert (moved["one"] == batch["one"]).all() and (moved["labels"] == batch["labels"]).all()
