from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.measure import pipelines
from edgesft.measure.driver import Agent
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.spec.profile import ProviderSpec
from tests.measure.models import save_product

TOKENS = (Value("input_ids", "int64", ("batch", "sequence")),)
PIXELS = (Value("x", "float32", (1, 3, 24, 32)),)


def model(folder: Path, *, task: str | None = None, **files: Any) -> Path:
    """Where a model would be, with JSON files beside it."""
    if task:
        files["contract"] = {"task": task, "labels": ["no", "yes"], "options": {"max_length": 16, "further": 1}}
    for name, data in files.items():
        (folder / f"{name}.json").write_text(json.dumps(data), "utf-8")
    return folder / "model.onnx"


def refused(path: Path, kind: str | Path | None, inputs: tuple[Value, ...], *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        find(path, kind=kind, inputs=inputs, settings=settings)
    return str(caught.value)


def test_the_contract_names_the_pipeline(tmp_path: Path) -> None:
    path = model(tmp_path, task="text-classification", tokenizer={}, tokenizer_config={"model_max_length": 512})
    source = find(path, kind=None, inputs=TOKENS)
    assert (source.label, source.file.name, source.folder) == ("text", "text.py", tmp_path)
    assert source.options == {
        "inputs": ["input_ids"],
        "labels": ["no", "yes"],
        "max_length": 16,
        "truncation_side": None,
        "split_special_tokens": False,
        "temperature": 1.0,
        "accept_above": None,
    }
    assert find(model(tmp_path, task="image-classification"), kind=None, inputs=PIXELS).label == "image"


def test_a_model_without_a_contract(tmp_path: Path) -> None:
    path = model(tmp_path, tokenizer={}, tokenizer_config={"model_max_length": 512, "truncation_side": "left"})
    assert "pipeline: must be named where no contract.json lies" in refused(path, None, TOKENS)
    options = find(path, kind="text", inputs=TOKENS).options
    assert (options["labels"], options["max_length"], options["truncation_side"]) == ([], 512, "left")
    model(tmp_path, tokenizer_config={"model_max_length": 1e30})
    assert find(path, kind="text", inputs=TOKENS).options["max_length"] is None


def test_settings_come_first_and_are_checked(tmp_path: Path) -> None:
    path = model(tmp_path, task="image-classification", preprocessor_config={"do_rescale": True})
    found = find(path, kind=None, inputs=PIXELS, settings=["mean=[1, 2, 3]", "resize=16", "scale=null"]).options
    assert (found["mean"], found["resize"], found["scale"]) == ([1, 2, 3], 16, None)
    assert "'size' is not a key here\n    Try: 'resize'" in refused(path, None, PIXELS, "size=16").replace("[", "'")
    assert "'colour' must be 'RGB', 'BGR' or 'L'. Got 'CMYK'" in refused(path, None, PIXELS, "colour=CMYK")


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    path = model(tmp_path, task="text-classification")
    assert "must find tokenizer.json beside the model" in refused(path, None, TOKENS)
    model(tmp_path, tokenizer={})
    (tmp_path / "tokenizer_config.json").write_text("{", "utf-8")
    assert "tokenizer_config.json: must be JSON" in refused(path, None, TOKENS)
    model(tmp_path, contract=["no"])
    assert "contract.json: must be a JSON object, got list" in refused(path, None, TOKENS)
    model(tmp_path, contract={"task": "text-classification"})
    assert "contract.json: must have task, labels and options, got task" in refused(path, None, TOKENS)


def test_a_task_that_no_pipeline_serves(tmp_path: Path) -> None:
    message = refused(model(tmp_path, task="speech-enhancement"), None, PIXELS)
    assert "must be named for the task 'speech-enhancement'" in message
    assert "text, image, audio, or a Python file of your own" in message


@pytest.mark.parametrize(
    "value",
    [
        Value("position_ids", "int64", ("batch", "sequence")),
        Value("input_ids", "int32", ("batch", "sequence")),
        Value("input_ids", "int64", (1, 128)),
    ],
)
def test_inputs_that_no_tokenizer_makes(tmp_path: Path, value: Value) -> None:
    assert value.name in refused(model(tmp_path, tokenizer={}), "text", (value,)).split("takes")[1]


def test_inputs_that_are_no_image(tmp_path: Path) -> None:
    message = refused(model(tmp_path), "image", (*PIXELS, *TOKENS))
    assert "feeds one input of four axes, got a model that takes x (float32 [1, 3, 24, 32]), input_ids" in message
    assert "one input of four axes" in refused(model(tmp_path), "image", TOKENS)


def test_a_preprocessor_that_does_more_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path, preprocessor_config={"do_pad": True, "do_resize": False, "crop_pct": 0.875})
    assert "does not do do_pad, crop_pct" in refused(path, "image", PIXELS)
    model(tmp_path, preprocessor_config={"do_resize": True, "size": 224})
    assert "size must have height and width or shortest_edge, got 224" in refused(path, "image", PIXELS)


def test_kinds_that_are_none(tmp_path: Path) -> None:
    assert "must be text, image, audio or a Python file, got 'video'" in refused(model(tmp_path), "video", PIXELS)
    (tmp_path / "mine.py").write_text("", "utf-8")
    message = refused(model(tmp_path), tmp_path / "mime.py", PIXELS)
    assert "pipeline: no such file" in message
    assert "mine.py" in message


def test_a_pipeline_of_ones_own(tmp_path: Path) -> None:
    """The one that the documentation shows."""
    example = (pipelines.__doc__ or "").split("write one:\n")[1].split("\nThe measuring process")[0]
    file = tmp_path / "room.py"
    file.write_text("".join(line[4:] or "\n" for line in example.splitlines(keepends=True)), "utf-8")
    path = save_product(model(tmp_path, task="temperature"), width=3)
    source = find(path, kind=file, inputs=(Value("x", "float32", ("batch", 3)),), settings=["mean=10"])
    assert source.label == "room.py"
    assert source.options == {"inputs": ["x"], "labels": ["no", "yes"], "max_length": 16, "further": 1, "mean": 10}
    with Agent() as agent:
        agent.load(path, [ProviderSpec(name="CPUExecutionProvider")], 1)
        agent.pipeline(source.file, source.folder, source.options)
        agent.row({"hour": [18, 19, 20]})
        assert len(agent.series("spans", 3, [0]).ns) == 3


@pytest.mark.parametrize("name", list(pipelines.KINDS))
def test_what_ships_runs_where_edgesft_is_not(name: str) -> None:
    file = pipelines.KINDS[name].file
    found = [
        node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    modules = {getattr(node, "module", None) or node.names[0].name for node in found}
    assert {module.split(".")[0] for module in modules} - sys.stdlib_module_names <= {
        "numpy",
        "PIL",
        "soundfile",
        "tokenizers",
    }
    assert np.__name__ in modules
