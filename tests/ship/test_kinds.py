"""Bundles of other tasks and models: words, passages, several heads, arrays, states, external data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgesft.ship.pack import Order, pack
from edgesft.ship.verify import verify
from tests import tiny
from tests.ship import runs
from tests.ship.conftest import QUIET

TOKENS = ("input_ids", "attention_mask")


def by_token(outputs: Sequence[str], width: int) -> onnx.ModelProto:
    """Scores for each token: of shape [batch, sequence, width], or without the last axis for a width of 0."""
    rng = np.random.default_rng(0)
    tables = {name: rng.normal(size=(128, width) if width else 128).astype(np.float32) for name in outputs}
    nodes = [helper.make_node("Gather", [f"table_{name}", "input_ids"], [f"raw_{name}"]) for name in outputs]
    shape = ["batch", "sequence", *([width] if width else [])]
    nodes += [
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        *([helper.make_node("Unsqueeze", ["mask", "last"], ["column"])] if width else []),
        *(helper.make_node("Mul", [f"raw_{name}", "column" if width else "mask"], [name]) for name in outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "tokens",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in TOKENS],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [numpy_helper.from_array(table, f"table_{name}") for name, table in tables.items()]
        + ([numpy_helper.from_array(np.asarray([2], np.int64), "last")] if width else []),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def rewritten(
    folder: Path, model: onnx.ModelProto, contract: dict[str, Any], rows: list[Any], task: str, data: dict[str, Any]
) -> Path:
    """The run of `runs.write`, made one of another task."""
    run = runs.write(folder)
    onnx.save(model, str(run / "model.onnx"))
    (run / "contract.json").write_text(json.dumps({"task": task, **contract}))
    for name, part in (("train", rows[:20]), ("dev", rows[20:30]), ("test", rows[30:])):
        tiny.write_rows(folder / f"{name}.jsonl", part)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["task"] = task
    recipe["data"] |= data
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    renewed(run)
    return run


def renewed(run: Path) -> None:
    """Says in the results which model it is."""
    results = json.loads((run / "results.json").read_text())
    data = b"".join((run / name).read_bytes() for name in ("model.onnx", "model.onnx.data") if (run / name).is_file())
    results["model_sha256"] = hashlib.sha256(data).hexdigest()
    (run / "results.json").write_text(json.dumps(results))


def read(bundle: Path, name: str) -> Any:
    return json.loads((bundle / name).read_bytes())


def packed(run: Path, **order: Any) -> Path:
    """A bundle that holds."""
    out = pack(Order(run, run.parent / "bundle", **order), QUIET).path
    report = verify(out)
    assert report.holds, report.findings
    return out


def test_words(tmp_path: Path) -> None:
    contract = {"labels": ["O", "B-MOOD", "I-MOOD"], "options": {"max_length": 16}}
    model = by_token(["logits"], 3)
    run = rewritten(tmp_path, model, contract, tiny.tagged(40), "token-classification", {})
    bundle = packed(run)
    said = read(bundle, "contract.json")
    assert (said["preparation"]["kind"], said["decoding"]["kind"], said["decoding"]["axis"]) == ("words", "tags", 2)
    assert isinstance(read(bundle, "golden.json")["rows"][0]["row"]["tokens"], list)


def test_passages(tmp_path: Path) -> None:
    """A long passage is several requests, of which none is what the row alone becomes."""
    contract = {"labels": [], "options": {"max_length": 32, "stride": 4}}
    model = by_token(["start_logits", "end_logits"], 0)
    rows = tiny.answered(40)
    rows[30] = {**rows[30], "context": f"{rows[30]['context']} {'the film is a plot ' * 12}"}
    data = {"stride": 4}
    run = rewritten(tmp_path, model, contract, rows, "question-answering", data)
    bundle = packed(run, rows=10)
    said = read(bundle, "contract.json")
    assert (said["preparation"]["stride"], said["decoding"]["kind"]) == (4, "span")
    golden = read(bundle, "golden.json")["rows"]
    # The row with several windows is the longest, and so the last one.
    assert len(golden) > 10 and [row["row"] is None for row in golden[8:]] == [False, *[True] * (len(golden) - 9)]


def test_heads(tmp_path: Path) -> None:
    labels = ["length/long", "length/short", "mood/negative", "mood/positive"]
    contract = {"labels": labels, "options": {"max_length": 16, "heads": {"length": 2, "mood": 2}}}
    run = rewritten(tmp_path, runs.model(classes=4), contract, tiny.rows(40), "multi-task", {})
    rows = tiny.headed(40)
    for name, part in (("train", rows[:20]), ("dev", rows[20:30]), ("test", rows[30:])):
        for head in ("mood", "length"):
            own = [{key: row[key] for key in ("text", "label")} for row in part if row["head"] == head]
            tiny.write_rows(tmp_path / f"{name}-{head}.jsonl", own)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        recipe["data"][split] = {head: str(tmp_path / f"{name}-{head}.jsonl") for head in ("mood", "length")}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    said = read(packed(run), "contract.json")
    assert [head["first"] for head in said["decoding"]["heads"]] == [0, 2]


def streaming() -> onnx.ModelProto:
    """A running mean: frames and a state → scores and the state's next value."""
    shape = {"frame": [1, 4], "state": [1, 4], "logits": [1, 2], "state_out": [1, 4]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in shape.items()}
    head = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    nodes = [
        helper.make_node("Add", ["frame", "state"], ["state_out"]),
        helper.make_node("MatMul", ["state_out", "head"], ["logits"]),
    ]
    inputs, outputs = ([values[name] for name in names] for names in (("frame", "state"), ("logits", "state_out")))
    graph = helper.make_graph(nodes, "frames", inputs, outputs, [numpy_helper.from_array(head, "head")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_arrays_with_a_state(tmp_path: Path) -> None:
    options = {"inputs": {"frame": {"shape": [4], "dtype": "float32"}}, "metric": "own:score", "path": str(tmp_path)}
    run = rewritten(tmp_path, streaming(), {"labels": ["a", "b"], "options": options}, tiny.rows(40), "arrays", {})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (run / name).unlink()
    frames = np.random.default_rng(0).normal(size=(3, 1, 4)).astype(np.float32)
    requests = {f"{row}/{name}": frame for row, frame in enumerate(frames) for name in ("frame", "state")}
    np.savez(tmp_path / "rows.npz", **requests)
    bundle = packed(run, inputs=tmp_path / "rows.npz")
    said = read(bundle, "contract.json")
    assert said["states"] == {"state": "state_out"} and "path" not in said["options"]
    assert said["preparation"] == {"kind": "arrays", "columns": ["frame"], "arrays": options["inputs"]}
    variants = read(bundle, "manifest.json")["variants"]
    assert [each["static"] for each in variants] == [True, True]
    assert "static itself" in read(bundle, "lineage.json")["left_out"]["static"]


def test_weights_beside_the_model(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    onnx.save(
        runs.model(),
        str(run / "model.onnx"),
        save_as_external_data=True,
        location="model.onnx.data",
        size_threshold=1024,
    )
    renewed(run)
    bundle = packed(run)
    variants = {each["name"]: each for each in read(bundle, "manifest.json")["variants"]}
    assert variants["fp32"]["files"] == ["models/fp32/model.onnx", "models/fp32/model.onnx.data"]
    whole = pack(Order(run, tmp_path / "b.zip"), QUIET).path
    assert verify(whole).holds
    (bundle / "models/fp32/model.onnx.data").unlink()
    assert {each.kind for each in verify(bundle).findings} == {"missing"}


@pytest.mark.parametrize("name", ["ä.txt", "a b.txt"])
def test_files_of_a_processor_with_odd_names(tmp_path: Path, name: str) -> None:
    from edgesft.errors import InputError

    run = runs.write(tmp_path)
    (run / name).write_text("x")
    with pytest.raises(InputError, match="rename it"):
        pack(Order(run, tmp_path / "b", variants=("model",)), QUIET)
