from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft import api
from edgesft.budget.percentile import Interval
from edgesft.errors import InputError
from edgesft.gate import artefact as artefacts
from edgesft.gate.artefact import artefact, recorded_drops, recorded_metrics
from edgesft.pipeline.keep import Decision
from edgesft.pipeline.outcome import Evaluation, Outcome, Row
from edgesft.report import results
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageReport
from edgesft.tasks.contract import Contract
from tests import tiny
from tests.measure import models

CONTRACT = Contract("text-classification", ("negative", "positive"), {"max_length": 32})
LEVEL, DROP = Interval(0.9, 0.85, 0.95), Interval(0.02, -0.01, 0.04)
NONE = Interval(0.0, 0.0, 0.0)


def save_moods(folder: Path, *, forget: tuple[str, ...] = (), contract: Contract = CONTRACT) -> Path:
    """What a run exports, made by hand: a tokenizer, a contract, and a model that knows the mood of all words but some.

    Its `logits` are the mean of two numbers for each token: whether it is a bad one, and whether a good one.
    """
    folder.mkdir(parents=True)
    tiny.save_tokenizer(folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    table = np.zeros((len(vocabulary), 2), np.float32)
    moods = (("negative", tiny.BAD), ("positive", tiny.GOOD))
    for label, words in moods:
        for word in set(words) - set(forget):
            table[vocabulary[word], contract.labels.index(label)] = 1
    nodes = [
        ("Gather", ["table", "input_ids"], ["rows"], {}),
        ("ReduceMean", ["rows", "axes"], ["logits"], {"keepdims": 0}),
    ]
    shape = ("int64", ("batch", "sequence"))
    inputs = dict.fromkeys(("input_ids", "attention_mask"), shape)
    outputs = {"logits": ("float", ("batch", 2))}
    models.save(folder / "model.onnx", nodes, inputs, outputs, table=table, axes=np.array([1]))
    (folder / "contract.json").write_text(json.dumps(contract.to_json()))
    return folder


def save_run(folder: Path, exported: Path, **recipe: Any) -> Path:
    """What a run of three stages leaves, of which the last one was not kept."""

    def row(stage: str, drop: Interval, *, kept: bool, onnx: Path) -> Row:
        scores = {split: Evaluation({"accuracy": 0.9}, np.zeros(0)) for split in ("validation", "test")}
        made = Row(stage, stage, Artefact("onnx", onnx, stage, weights), StageReport(""), scores, Decision(kept, ""))
        made.levels, made.drops = {"accuracy": LEVEL}, {"accuracy": drop}
        return made

    from safetensors.numpy import save_file

    original = folder.parent / f"{folder.name}-original"
    original.mkdir(parents=True)
    save_file({"weight": np.zeros(4)}, original / "model.safetensors")
    models.save_product(original / "model.onnx", width=100)
    weights = Artefact("torch", original, "weights")
    rows = (
        row("finetune", NONE, kept=True, onnx=original),
        row("quantize", DROP, kept=True, onnx=exported),
        row("prune", Interval(0.5, 0.4, 0.6), kept=False, onnx=original),
    )
    outcome = Outcome(
        profile=models.profile(),
        verdict="pass",
        lines=(),
        metric="accuracy",
        split="test",
        rows=rows,
        final=rows[1].onnx,
        calibration={},
        evaluation={},
        recipe={"version": 1, **recipe},
        environment={},
        warnings=(),
    )
    return api.write(outcome, folder).folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run; read only."""
    home = tmp_path_factory.mktemp("runs")
    return save_run(home / "moods", save_moods(home / "exported"))


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """One that may be spoilt."""
    folder = tmp_path / "moods"
    folder.mkdir()
    for file in run.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(file: Path, **values: Any) -> None:
    """Writes a JSON file anew; None takes a key out."""
    data = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({name: value for name, value in data.items() if value is not None}))


def problem(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        artefact(path)
    return str(caught.value)


def test_a_file_is_a_model_and_no_more(run: Path) -> None:
    found = artefact(run / "model.onnx")
    assert (found.name, found.model, found.folder) == ("model.onnx", run / "model.onnx", None)
    assert (found.contract, found.results, found.recipe) == (None, None, None)
    assert (found.metrics, found.size_bytes, found.original_size_bytes) == ((), None, None)
    assert recorded_metrics(found) == recorded_drops(found) == {}


def test_a_run_tells_what_it_found(run: Path) -> None:
    found = artefact(run)
    assert (found.name, found.model, found.folder) == ("moods", run / "model.onnx", run)
    assert found.contract == CONTRACT
    assert found.metrics == ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
    assert recorded_metrics(found) == {"accuracy": LEVEL}
    assert recorded_drops(found) == {"accuracy": DROP}
    device = ("model.onnx", "contract.json", "tokenizer.json", "tokenizer_config.json")
    assert found.size_bytes == sum((run / name).stat().st_size for name in device)
    original = run.parent / "moods-original"
    assert found.original_size_bytes == sum(file.stat().st_size for file in original.iterdir())


def test_the_schema_is_that_of_the_report() -> None:
    assert (artefacts.SCHEMA, artefacts.SCHEMA_VERSION) == (results.SCHEMA, results.SCHEMA_VERSION)


def test_early_results_without_bounds_have_values(copy: Path) -> None:
    stages = json.loads((copy / "results.json").read_text())["stages"]
    for stage in stages:
        del stage["levels"], stage["drops"]
    change(copy / "results.json", stages=stages)
    found = artefact(copy)
    assert recorded_metrics(found) == {"accuracy": Interval(0.9, None, None)}
    assert recorded_drops(found) == {}
    assert found.original_size_bytes == stages[0]["size_bytes"]


def test_a_folder_with_a_model_alone(tmp_path: Path) -> None:
    model = models.save_product(tmp_path / "small.onnx", outside="small.onnx.data")
    found = artefact(tmp_path)
    assert (found.name, found.model, found.folder) == (tmp_path.name, model, tmp_path)
    assert (found.contract, found.results, found.recipe, found.metrics) == (None, None, None, ())


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ({"name": "sentiment"}, "sentiment"),
        ({"profile": ["test", "other"]}, "moods"),
        ({"profile": "test"}, "test"),
    ],
)
def test_the_name_is_the_run_s(tmp_path: Path, recipe: Mapping[str, Any], name: str) -> None:
    exported = save_moods(tmp_path / "exported")
    assert artefact(save_run(tmp_path / "moods" / "test", exported, **recipe)).name == name


def test_the_name_of_this_folder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    assert artefact(Path()).name == "moods"


def test_nothing_there(tmp_path: Path) -> None:
    models.save_product(tmp_path / "model.onnx")
    assert "'model.onnx' in" in problem(tmp_path / "modle.onnx")


def test_a_folder_without_a_model_names_what_is_there(tmp_path: Path) -> None:
    assert "must hold an .onnx or .ort file, got an empty folder" in problem(tmp_path)
    for number in range(9):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / ".hidden").touch()
    text = problem(tmp_path)
    assert "got 0.txt, 1.txt" in text and "7.txt and 1 more" in text and "hidden" not in text


def test_several_models_or_profiles_must_be_told_apart(tmp_path: Path) -> None:
    models.save_product(tmp_path / "b.onnx")
    models.save_product(tmp_path / "a.onnx")
    assert "must hold one model, got a.onnx, b.onnx" in problem(tmp_path)
    runs = tmp_path / "runs"
    for name in ("phone", "board"):
        (runs / name).mkdir(parents=True)
        models.save_product(runs / name / "model.onnx")
    text = problem(runs)
    assert "several profiles: board, phone" in text and f"'{runs / 'board'}'" in text


def test_results_of_another_model_are_refused(copy: Path) -> None:
    models.save_product(copy / "model.onnx")
    assert "is of another model: one of sha256" in problem(copy)
    change(copy / "results.json", model_sha256=None)
    assert "is of another model: one of" in problem(copy) and "bytes" in problem(copy)


def test_early_results_without_a_digest_go_by_the_bytes(copy: Path) -> None:
    change(copy / "results.json", model_sha256=None)
    (copy / "log.txt").write_text("what happened")
    assert recorded_metrics(artefact(copy)) == {"accuracy": LEVEL}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schema": "edgesft/bench"}, "schema of .* must be 'edgesft/results', got 'edgesft/bench'"),
        ({"schema_version": 2}, "must be at most 1 for this edgesft, got 2\n.*upgrade"),
        ({"schema_version": "1"}, "must be a whole number from 1 on, got '1'"),
        ({"schema_version": True}, "must be a whole number from 1 on, got True"),
        ({"stages": 3}, "'stages' must be a valid list"),
        ({"stages": []}, "must have a stage that was kept, got 0"),
        ({"stages": [{"kept": False, "size_bytes": 1}]}, "must have a stage that was kept, got 1 that were not"),
        ({"stages": [{"kept": True, "size_bytes": 0}]}, "'size_bytes' must be greater than 0"),
        ({"stages": [{"kept": True, "size_bytes": 1, "drops": {"accuracy": 0.1}}]}, "stages.0.drops.accuracy"),
        ({"model_sha256": 5}, "'model_sha256' must be a valid string"),
    ],
)
def test_bad_results_are_named(copy: Path, values: Mapping[str, Any], message: str) -> None:
    change(copy / "results.json", **values)
    with pytest.raises(InputError, match=f"(?s){message}"):
        artefact(copy)


@pytest.mark.parametrize("name", ["results.json", "contract.json"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[:-20], "must be whole JSON.*cut short or damaged"),
        (lambda content: b"", "must be whole JSON.*cut short or damaged"),
        (lambda content: b"[1]", "must be a JSON object, got list"),
        (lambda content: b"\xff" + content, "must be UTF-8, got byte 0xff"),
    ],
)
def test_damaged_files_are_named(copy: Path, name: str, spoil: Any, message: str) -> None:
    (copy / name).write_bytes(spoil((copy / name).read_bytes()))
    with pytest.raises(InputError, match=f"'{copy / name}' {message}"):
        artefact(copy)


def test_a_contract_must_say_what_it_says(copy: Path) -> None:
    change(copy / "contract.json", labels=[1, 2], options=None)
    text = problem(copy)
    assert "contract.json labels.0" in text and "'options' must be given" in text


def test_a_recipe_must_be_yaml(copy: Path) -> None:
    (copy / "recipe.yaml").write_text("a: [1")
    assert str(copy / "recipe.yaml") in problem(copy)
