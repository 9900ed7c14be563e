"""The whole chain on a tiny model: what it leaves, that it did something, that nothing is done twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgesft
from edgesft.progress import Progress
from tests import chain


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def result(home: Path, bert: Path) -> edgesft.Result:
    recipe = chain.write(home, bert)
    return edgesft.run(recipe, output=home / "run", store=home / "store", progress=Progress(quiet=True))


def rows(result: edgesft.Result) -> dict[str, dict]:
    return {row["name"]: row for row in result.profiles["here"].results["stages"]}


def test_the_budget_holds(result: edgesft.Result) -> None:
    assert result.verdict == "pass", result.table()
    lines = {line["name"]: line for line in result.profiles["here"].results["budget"]}
    assert set(lines) == {"size_ratio", "max_drop.accuracy"}
    assert {"name", "limit", "value", "lower", "upper", "verdict"} <= set(lines["size_ratio"])


def test_results_json_follows_the_schema(home: Path, result: edgesft.Result) -> None:
    found = json.loads((home / "run" / "results.json").read_text())
    assert (found["schema"], found["schema_version"]) == ("edgesft/results", 1)
    assert {"verdict", "budget", "stages", "environment", "recipe"} <= set(found)
    for row in found["stages"]:
        assert {"stage", "name", "kept", "reason", "metrics", "size_bytes", "parameters", "provider"} <= set(row)
        assert set(row["metrics"]) == {"validation", "test"}
        latency = row["latency_ns"]
        assert latency["n"] >= 100 and 0 < latency["p50"] <= latency["p90"] <= latency["p95"]
        assert latency["p99"] is None or latency["n"] >= 299
        assert row["provider"] == "CPUExecutionProvider"


def test_every_stage_did_something(result: edgesft.Result) -> None:
    found = rows(result)
    assert list(found) == ["finetune", "prune", "distill", "quantize"]
    assert found["finetune"]["metrics"]["test"]["accuracy"] >= 0.9
    assert found["prune"]["parameters"] <= 0.7 * found["finetune"]["parameters"]
    assert found["prune"]["size_bytes"] < found["finetune"]["size_bytes"]
    assert found["quantize"]["size_bytes"] < found["distill"]["size_bytes"]
    assert found["quantize"]["precision"] == "int8-dynamic"


def test_the_final_model_is_int8_and_runs(home: Path, result: edgesft.Result) -> None:
    model = onnx.load(home / "run" / "model.onnx")
    assert any(tensor.data_type == onnx.TensorProto.INT8 for tensor in model.graph.initializer)
    session = result.model()
    feeds = {each.name: np.ones((1, 6), np.int64) for each in session.get_inputs()}
    assert session.run(None, feeds)[0].shape == (1, 2)


def test_the_table_tells_it(result: edgesft.Result) -> None:
    table = result.table()
    for word in ("finetune", "quantize", "int8-dynamic", "size_ratio", "verdict: pass"):
        assert word in table


def test_a_second_run_is_quick_and_light(home: Path, result: edgesft.Result) -> None:
    code = (
        "import sys, edgesft; from edgesft.progress import Progress\n"
        "r = edgesft.run(sys.argv[1], output=sys.argv[2], store=sys.argv[3], progress=Progress(quiet=True))\n"
        "print(r.verdict, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    before = (home / "run" / "results.json").read_bytes()
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, home / "recipe.yaml", home / "again", home / "store"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["pass", "False", "False"]
    assert time.monotonic() - started < 3
    assert (home / "again" / "results.json").read_bytes() == before


def test_bad_input_writes_nothing(home: Path, bert: Path) -> None:
    place = home / "bad"
    recipe = chain.write(place, bert, profile="no-such-profile")
    with pytest.raises(edgesft.InputError, match="known profile"):
        edgesft.run(recipe, output=place / "run", store=place / "store")
    assert not (place / "run").exists() and not (place / "store").exists()


def test_an_unwritable_output_is_the_environment_s(home: Path, result: edgesft.Result) -> None:
    (home / "file").write_text("")
    with pytest.raises(edgesft.UnavailableError, match="writable"):
        edgesft.run(home / "recipe.yaml", output=home / "file" / "run", store=home / "store")


def test_a_provider_that_is_not_here(home: Path, bert: Path) -> None:
    recipe = chain.write(home / "npu", bert, profile="snapdragon-npu")
    with pytest.raises(edgesft.UnavailableError, match="QNNExecutionProvider"):
        edgesft.run(recipe, output=home / "npu" / "run", store=home / "npu" / "store", progress=Progress(quiet=True))
