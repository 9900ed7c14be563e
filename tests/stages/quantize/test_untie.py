"""Weights that a product reads turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize import dynamic, int4
from edgesft.stages.quantize.untie import untied
from edgesft.tasks.decoder import cache

SHAPE = {"layers": 2, "heads": 2, "width": 8}


def test_a_decoders_scores_are_quantized_as_well(spoken: Path, tmp_path: Path) -> None:
    source = spoken / "model.onnx"
    whole = untied(source, tmp_path / "untied.onnx")
    feeds = {"input_ids": np.array([[1, 40, 41]]), "logits_to_keep": np.array([0, 1, 2]), **cache.zeros(SHAPE, 1, 0)}
    expected = file_run({"model": source})(feeds)["logits"]
    assert np.allclose(file_run({"model": whole})(feeds)["logits"], expected, atol=1e-5)
    assert "lm_head.MatMul" not in dynamic(source, tmp_path / "tied.onnx").quantized
    for make in (dynamic, int4):
        plan = make(whole, tmp_path / f"{make.__name__}.onnx")
        assert "lm_head.MatMul" in plan.quantized
        got = file_run({"model": tmp_path / f"{make.__name__}.onnx"})(feeds)["logits"]
        assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.8


def test_files_without_such_weights_stay(tmp_path: Path, spoken: Path) -> None:
    whole = untied(spoken / "model.onnx", tmp_path / "untied.onnx")
    assert untied(whole, tmp_path / "again.onnx") == whole
