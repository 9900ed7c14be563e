"""ONNX files that others made, as Optimum, Olive and hand-written exporters leave them: measured, compressed, gated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesft import api
from edgesft.errors import InputError
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.model import OnnxSpec
from edgesft.stages.export.checks import file_run
from edgesft.stages.export.installed import install
from edgesft.tasks import registry
from edgesft.tasks.base import Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import companions, onnx_file
from tests import chain, tiny

RNG = np.random.default_rng(0)


def save(
    place: Path,
    nodes: Sequence[tuple[str, str, str]],
    inputs: Mapping[str, tuple[int, list[Any]]],
    outputs: Mapping[str, list[Any]],
    weights: Mapping[str, np.ndarray],
) -> Path:
    """Writes a graph of nodes `(operator, inputs, output)`; inputs are of an ONNX type and a shape."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    made = [helper.make_node(kind, taken.split(), [given], name=given) for kind, taken, given in nodes]
    given = [helper.make_tensor_value_info(name, *said) for name, said in inputs.items()]
    left = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(made, "others", given, left, tensors)
    place.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(place))
    return place


def floats(*shape: int) -> np.ndarray:
    return (0.1 * RNG.standard_normal(shape)).astype(np.float32)


def pictures(folder: Path, channels_last: bool = False) -> Path:
    """A net with softmax at its end, `logits` within, and a second output that nobody wants."""
    nodes = [
        ("Conv", "data kernel", "seen"),
        ("Abs", "seen", "level"),
        ("GlobalAveragePool", "level", "pooled"),
        ("Flatten", "pooled", "features"),
        ("MatMul", "features first", "hidden"),
        ("MatMul", "hidden last", "logits"),
        ("Softmax", "logits", "probs"),
    ]
    shape: list[Any] = ["n", 12, 12, 3] if channels_last else ["n", 3, 12, 12]
    weights = {"kernel": floats(32, 3, 3, 3), "first": floats(32, 128), "last": floats(128, 2)}
    return save(folder / "net.onnx", nodes, {"data": (1, shape)}, {"probs": ["n", 2], "features": ["n", 32]}, weights)


def texts(folder: Path, dtype: int = 6) -> Path:
    """A bag of words that takes int32, as TensorFlow's exports do."""
    nodes = [
        ("Gather", "table tokens", "words"),
        ("ReduceMean", "words axis", "mean"),
        ("Flatten", "mean", "flat"),
        ("MatMul", "flat last", "out"),
    ]
    weights = {"table": floats(128, 16), "axis": np.array([1]), "last": floats(16, 2)}
    return save(folder / "model.onnx", nodes, {"tokens": (dtype, ["n", "length"])}, {"out": ["n", 2]}, weights)


def installed(spec: OnnxSpec, task: Task, rows: list[dict[str, Any]], folder: Path, **options: Any) -> SimpleNamespace:
    """The contract, and what is answered to rows by the file as it is and as it was installed."""
    source = onnx_file.resolve(spec, folder)
    contract = task.contract(rows, task.implied(source, {"max_length": 32, **options}))
    assert task.check_model(source, contract) == [] and task.check_head(source, contract) == []
    processor = task.load_processor(source, contract)
    examples = task.encode(rows, processor, contract)
    install(source, task, processor, contract, examples, folder / "ours.onnx")
    run = file_run({"model": folder / "ours.onnx"})
    requests = task.requests(examples, processor)
    scores = task.predict(run, examples, processor)
    return SimpleNamespace(contract=contract, source=source, requests=requests, scores=scores)


def test_pictures(tmp_path: Path) -> None:
    file = pictures(tmp_path / "net")
    spec = OnnxSpec(onnx=str(file), labels=("standing", "lying"), names={"logits": "probs"})
    rows = tiny.pictured(8)
    got = installed(spec, registry.task("image-classification"), rows, tmp_path)
    assert got.contract.labels == ("standing", "lying"), "in the file's order, not in ours"
    assert got.contract.options["resize"] == [12, 12], "the file says its size"
    theirs = file_run({"model": file})
    expected = np.concatenate([theirs({"data": feeds["pixel_values"]})["probs"] for feeds in got.requests])
    powers = np.exp(got.scores)
    assert np.allclose(powers / powers.sum(1, keepdims=True), expected, atol=1e-5)
    assert not np.allclose(got.scores.sum(1), 1), "what is before softmax, for temperatures"


def test_texts_as_olive_leaves_them(tmp_path: Path) -> None:
    pretrained, left = tmp_path / "pretrained", tmp_path / "olive"
    pretrained.mkdir()
    tiny.save_tokenizer(pretrained)
    file = texts(left)
    attributes = {"model_type": "bert", "id2label": {"0": "positive", "1": "negative"}, "vocab_size": 128}
    said = {"model_path": "C:\\olive\\out\\model.onnx"}
    said["model_attributes"] = {**attributes, "_name_or_path": str(pretrained)}  # type: ignore[assignment]
    (left / companions.OLIVE).write_text(json.dumps({"type": "onnxmodel", "config": said}), "utf-8")
    spec = OnnxSpec(onnx="olive", names={"input_ids": "tokens"})
    rows: list[dict[str, Any]] = [*tiny.rows(6)]
    got = installed(spec, registry.task("text-classification"), rows, tmp_path)
    assert (
        got.source.path == file and got.source.folder == pretrained and got.contract.labels == ("positive", "negative")
    )
    assert {len(feeds["input_ids"][0]) for feeds in got.requests} != {len(got.requests[0]["input_ids"][0])}, (
        "of any length"
    )
    theirs = file_run({"model": file})
    expected = [theirs({"tokens": feeds["input_ids"].astype(np.int32)})["out"][0] for feeds in got.requests]
    assert np.allclose(got.scores, expected, atol=1e-5)


def test_arrays(tmp_path: Path) -> None:
    nodes = [("MatMul", "a first", "x"), ("MatMul", "b second", "y"), ("Add", "x y", "scores")]
    weights = {"first": floats(4, 3), "second": floats(5, 3)}
    file = save(tmp_path / "two.onnx", nodes, {"a": (1, [1, 4]), "b": (1, [1, 5])}, {"scores": [1, 3]}, weights)
    recipe = {"model": {"onnx": str(file), "names": {"left": "a"}}, "task": "arrays"}
    rows = [{"left": floats(4), "b": floats(5), "label": number % 3} for number in range(6)]
    path = chain.write(tmp_path / "recipe", tmp_path, **recipe)
    from edgesft.spec import load

    read, _, _ = load.recipe(path)
    assert read is not None
    task = registry.of(read, path.parent)
    got = installed(read.model, task, rows, tmp_path)  # type: ignore[arg-type]
    assert task.roles == ("left", "b", "label") and got.contract.labels == ("0", "1", "2")
    expected = [row["left"] @ weights["first"] + row["b"] @ weights["second"] for row in rows]
    assert np.allclose(got.scores, expected, atol=1e-5)


def test_sounds(tmp_path: Path) -> None:
    nodes = [("Abs", "wave", "level"), ("MatMul", "level last", "scores")]
    file = save(tmp_path / "s.onnx", nodes, {"wave": (1, ["n", 1000])}, {"scores": ["n", 2]}, {"last": floats(1000, 2)})
    spec = OnnxSpec(onnx=str(file), labels=("falling", "rising"))
    audio = {"rate": tiny.RATE, "seconds": 0.25, "features": "none", "normalise": False}
    rows = tiny.sounded(4)
    got = installed(spec, registry.task("audio-classification"), rows, tmp_path, audio=audio)
    theirs = file_run({"model": file})
    expected = [theirs({"wave": feeds["input_values"]})["scores"][0] for feeds in got.requests]
    assert np.allclose(got.scores, expected, atol=1e-4)


def recipe(folder: Path, **changes: Any) -> Path:
    for name, count, seed in (("train", 24, 0), ("test", 40, 1)):
        tiny.save_pictures(folder / name, tiny.pictured(count, seed))
    said = {
        "model": {"onnx": str(pictures(folder)), "names": {"logits": "probs"}, "labels": ["standing", "lying"]},
        "data": {"train": "train", "validation": 0.5, "test": "test"},
        "stages": ({"stage": "quantize", "scheme": "int8-dynamic", "keep": "always"},),
        "budget": {"size_ratio": 1.5},
        **changes,
    }
    return chain.write(folder, folder, task="image-classification", **said)


def test_one_goes_through_the_chain_and_into_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    result = api.run(recipe(tmp_path), output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert result.verdict == "pass" and [row["name"] for row in results["stages"]] == ["model", "quantize"]
    assert set(results["stages"][0]["metrics"]["test"]) >= {"accuracy", "f1_macro"}
    packed = api.pack(tmp_path / "run", output=tmp_path / "bundle")
    assert api.verify(packed.path).holds
    contract = json.loads((tmp_path / "bundle" / "contract.json").read_bytes())
    assert contract["labels"] == ["standing", "lying"] and contract["inputs"][0]["name"] == "pixel_values"
    # What a run leaves is itself a folder that has an ONNX file, its classes and how it reads pictures.
    again = onnx_file.resolve(OnnxSpec(onnx=str(tmp_path / "run")), tmp_path)
    assert again.labels == ("standing", "lying")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.labels=[]"], "model.labels: must name the classes in the order of the file's scores"),
        (["model.labels=[standing, lying, other]"], "must have a score for each of 3 labels, got 2"),
        (["model.labels=[up, down]"], "labels must be those of the model's file (up, down), got 'lying'"),
        (["model.names={}"], "model: must give logits, got probs, features"),
        (["model.names={logits: scores}"], "model.names: must be of data, probs, features, got 'scores'"),
        (["data.image={resize: [8, 8]}"], "must take pictures of [rows, channels, height, width]"),
        (["model.onnx=train"], "train' must hold an ONNX file, got none"),
        (["stages=[{stage: finetune}]"], "'finetune' must start from a torch model. Got onnx from 'model'"),
        (["stages=[{stage: distill}]"], "'distill' must start from a torch model"),
    ],
)
def test_what_does_not_fit_is_told(settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        check(recipe(tmp_path), settings)
    assert message in str(caught.value)


def test_other_layouts_and_other_tasks_are_told(tmp_path: Path) -> None:
    task = registry.task("image-classification")
    spec = OnnxSpec(onnx=str(pictures(tmp_path, channels_last=True)), names={"logits": "probs"})
    source = onnx_file.resolve(spec, tmp_path)
    (problem,) = task.check_model(source, task.contract(tiny.pictured(4), task.implied(source, {})))
    assert "must take pictures of [rows, channels, height, width]" in problem.message
    for name in ("multi-task", "zero-shot-classification", "object-detection", "text-generation"):
        assert not registry.task(name).takes_files
    with pytest.raises(InputError, match="'model' must not be an ONNX file for the task zero-shot"):
        path = chain.write(
            tmp_path / "zero", tmp_path, model={"onnx": str(texts(tmp_path))}, stages=({"stage": "benchmark"},)
        )
        check(path, ["task=zero-shot-classification"])


def test_a_folder_of_several_files_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.onnx").touch()
    with pytest.raises(InputError, match=r"must be one file, '.*' has a\.onnx, b\.onnx"):
        companions.model_file(tmp_path)
    (tmp_path / companions.OLIVE).write_text(json.dumps({"config": {"model_path": "/elsewhere/b.onnx"}}), "utf-8")
    assert companions.model_file(tmp_path).name == "b.onnx", "Olive says which"


def test_a_folder_without_weights_says_how_to_name_it(tmp_path: Path) -> None:
    texts(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    tiny.save_tokenizer(tmp_path)
    task = registry.task("text-classification")
    problems = task.check_model(tmp_path, Contract(task.name, ("a", "b"), {"max_length": 32}))
    assert any(problem.hint == f"model: {{onnx: {tmp_path}}}" for problem in problems)
