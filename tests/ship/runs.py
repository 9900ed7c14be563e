"""Runs and bundles to test on: what a run leaves, written by hand, since nothing is trained here."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgesft.ship import archive, canonical
from edgesft.ship.archive import Entry
from edgesft.ship.manifest import MANIFEST, UNLISTED
from tests import tiny
from tests.chain import PROFILE

LONGEST = 16


def model(*, classes: int = 2, seed: int = 0, width: int = 32) -> onnx.ModelProto:
    """A bag of words: token ids and their mask → logits."""
    rng = np.random.default_rng(seed)
    weights = {
        "table": rng.normal(size=(128, width)).astype(np.float32),
        "head": rng.normal(size=(width, classes)).astype(np.float32),
        "last": np.asarray([2], np.int64),
        "middle": np.asarray([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["words", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "head"], ["logits"]),
    ]
    free = ["batch", "sequence"]
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, free) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def write(folder: Path, *, verdict: str = "pass", seed: int = 0) -> Path:
    """What a run of text classification leaves, with its rows beside it."""
    run = folder / "run"
    run.mkdir(parents=True)
    tiny.save_tokenizer(run)
    onnx.save(model(seed=seed), str(run / "model.onnx"))
    options = {"max_length": LONGEST, "temperature": 1.5, "accept_above": 0.25}
    contract = {"task": "text-classification", "labels": ["negative", "positive"], "options": options}
    (run / "contract.json").write_text(json.dumps(contract))
    rows = tiny.rows(60)
    for name, part in (("train", rows[:30]), ("dev", rows[30:45]), ("test", rows[45:])):
        tiny.write_rows(folder / f"{name}.jsonl", part)
    base = folder / "base"
    base.mkdir()
    (base / "LICENSE").write_text("as you like\n")
    (base / "README.md").write_text("---\nlicense: mit\n---\nA model.\n")
    recipe = {
        "version": 1,
        "model": str(base),
        "task": "text-classification",
        "data": {
            "train": str(folder / "train.jsonl"),
            "validation": str(folder / "dev.jsonl"),
            "test": str(folder / "test.jsonl"),
            "max_length": LONGEST,
        },
        "profile": str(folder / "here.yaml"),
        "stages": [{"stage": "finetune", "epochs": 1}],
    }
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (run / "log.txt").write_text("2026-01-01 00:00:00 done\n")
    (run / "results.json").write_text(json.dumps(results(run, recipe, verdict)))
    return run


def results(run: Path, recipe: Mapping[str, Any], verdict: str) -> dict[str, Any]:
    """The results of a run whose one stage was kept."""
    digest = hashlib.sha256((run / "model.onnx").read_bytes()).hexdigest()
    interval = {"value": 0.9, "lower": 0.85, "upper": 0.95}
    stage = {
        "stage": "finetune",
        "name": "finetune",
        "key": "0" * 32,
        "kept": True,
        "reason": "the fine-tuned original",
        "summary": "validation accuracy 0.9",
        "precision": "fp32",
        "metrics": {"validation": {"accuracy": 0.9}, "test": {"accuracy": 0.9}},
        "levels": {"accuracy": interval},
        "drops": {"accuracy": {"value": 0.0, "lower": 0.0, "upper": 0.0}},
        "size_bytes": 20000,
        "parameters": 4160,
        "details": {"where": str(run / "checkpoint")},
        "latency_ns": {"n": 300, "p50": 90000, "p90": 95000, "p95": 99000, "p99": 120000},
        "provider": "CPUExecutionProvider",
        "measurement": {"scenario": "single-stream", "threads": 1},
        "problem": "",
    }
    line = {"name": "latency_ms.p95", "limit": 5.0, "value": 0.1, "lower": 0.1, "upper": 0.1, "verdict": verdict}
    profile = {**PROFILE, "machine": {}}
    return {
        "schema": "edgesft/results",
        "schema_version": 1,
        "verdict": verdict,
        "profile": "here",
        "model_sha256": digest,
        "metric": "accuracy",
        "split": "test",
        "budget": [line],
        "evaluation": {"rows": 15},
        "stages": [stage],
        "environment": {"architecture": "x86_64", "versions": {"onnxruntime": "1.32.0"}, "profile": profile},
        "recipe": dict(recipe),
        "lineage": {"model_sha256": "a" * 64, "data_sha256": "b" * 64, "data_with_test_sha256": "c" * 64},
        "warnings": ["the test rows are few"],
    }


def seal(folder: Path, change: Callable[[dict[str, Any]], None] = lambda said: None) -> None:
    """Writes the manifest anew, as somebody without the key can: every digest right."""
    said = json.loads((folder / MANIFEST).read_bytes())
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in UNLISTED)
    said["files"] = {
        path.relative_to(folder).as_posix(): {
            "length": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }
    change(said)
    (folder / MANIFEST).write_bytes(canonical.dump(said))


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON file of a bundle, and leaves it canonical."""
    said = json.loads(path.read_bytes())
    change(said)
    path.write_bytes(canonical.dump(said))


def edit_model(path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    """Changes a model of a bundle."""
    loaded = onnx.load(str(path), load_external_data=False)
    change(loaded)
    path.write_bytes(loaded.SerializeToString())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a bundle, in the order of their names."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: files[name].read_bytes() for name in sorted(files)}


def zipped(files: list[tuple[str, bytes]], target: Path) -> list[Entry]:
    """An archive as edgesft writes it, of whatever names in whatever order; and what is in it."""
    import zlib

    entries, body, place = [], b"", 0
    for name, data in files:
        entry = Entry(name, len(data), zlib.crc32(data), place)
        body += entry.header + data
        place = len(body)
        entries.append(entry)
    directory = b"".join(entry.record for entry in entries)
    target.write_bytes(body + directory + archive._end(len(entries), len(directory), place))
    return entries


def copy(bundle: Path, target: Path) -> Path:
    """A bundle to be spoilt."""
    return Path(shutil.copytree(bundle, target))


def flip(path: Path, place: int | None = None) -> None:
    """Turns one bit of a file, by default in its middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1
    path.write_bytes(data)


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as golden rows have it."""
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}
