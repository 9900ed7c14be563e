"""Features made by the model's file are those that are made beside it, and the device sends samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft import api
from edgesft.data.media.audio import Reader
from edgesft.errors import InputError
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.media import AudioSpec
from edgesft.stages.export.checks import file_run
from edgesft.stages.export.graph import convert, save
from edgesft.tasks.audio.logmel import LogMel
from edgesft.tasks.base import Graph
from tests import chain
from tests.tasks.test_audio_classification import READING, TASK, recipe

pytest.importorskip("soundfile")


@pytest.mark.parametrize("in_graph", ["stft", "matmul"])
@pytest.mark.parametrize(
    "options",
    [
        {"rate": 8000, "seconds": 1, "frame": 0.04, "hop": 0.02, "coefficients": 10},
        {"rate": 4000, "seconds": 0.3, "frame": 0.032, "hop": 0.01, "low": 400, "high": 1500, "mels": 12},
        {"rate": 4000, "seconds": 0.3, "frame": 0.025, "hop": 0.01, "normalise": False, "mels": 12},
    ],
)
def test_a_graph_makes_the_same_features(in_graph: str, options: dict[str, Any], tmp_path: Path) -> None:
    said = AudioSpec.model_validate({**options, "in_graph": in_graph}).model_dump()
    front = LogMel(said).eval()
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal((2, Reader(said).count))).astype(np.float32)
    samples[1, 200:] = 0
    expected = Reader({**said, "in_graph": "none"}).feed(samples)
    graph = Graph("model", front, {"samples": torch.from_numpy(samples)}, {"samples": {0: "batch"}}, ("features",))
    save(convert(graph, opset=20), tmp_path / "model.onnx")
    found = file_run({"model": tmp_path / "model.onnx"})({"samples": samples})["features"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4
    assert np.array_equal(Reader(said).feed(samples), samples)


def test_the_whole_chain_sends_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = (
        {**chain.STAGES[0], "epochs": 4, "learning_rate": 1.0e-2, "masking": 0.1},
        {"stage": "quantize", "scheme": "int8-static", "keep": "always"},
    )
    place = recipe(tmp_path, (120, 24, 24), stages=stages, budget={"min_metric": {"accuracy": 0.7}})
    result = api.run(
        place, output=tmp_path / "run", progress=Progress(quiet=True), settings=["data.audio.in_graph=stft"]
    )
    assert result.verdict == "pass"
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    plan = results["stages"][1]["details"]["candidates"][0]["plan"]
    assert not [name for name in plan["quantized"] if name.startswith(("front", "model"))]
    assert any(why == "computes features, which stay in float" for why in plan["excluded"].values())
    packed = api.pack(tmp_path / "run", output=tmp_path / "bundle")
    assert api.verify(packed.path).holds
    contract = json.loads((tmp_path / "bundle" / "contract.json").read_bytes())
    assert contract["preparation"]["features"] == "none" and not contract["preparation"]["normalise"]
    assert contract["inputs"][0]["shape"][1:] == [round(READING["rate"] * READING["seconds"])]
    value = Value("x", "float32", ("batch", 1000))
    options = find(tmp_path / "run" / "model.onnx", kind=None, inputs=[value]).options
    assert Reader(options).feed(np.zeros((1, 1000), np.float32)).shape == (1, 1000)


def test_where_there_are_no_features_none_are_made() -> None:
    with pytest.raises(InputError, match="if features is none"):
        TASK.settled({"features": "none", "in_graph": "stft"})


def test_a_recipe_may_ask_for_it(tmp_path: Path) -> None:
    assert check(recipe(tmp_path, (8, 4, 4)), ["data.audio.in_graph=stft"])
