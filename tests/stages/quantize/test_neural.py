from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edgesft.stages.artefact import Artefact
from edgesft.stages.quantize.neural import neural_static
from edgesft.stages.quantize.verify import verify
from tests.stages.surroundings import TASK, Small

pytest.importorskip("neural_compressor")


def test_int8_weights_are_in_the_file_and_axes_vary(
    tiny_model: Small, artefact: Artefact, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = list(logging.getLogger().handlers)
    requests = TASK.requests(tiny_model.rows, tiny_model.processor)
    plan = neural_static(
        tiny_model.graph(),
        artefact.model,
        tmp_path / "q.onnx",
        requests,
        opset=20,
        exclude=("classifier.*", "*position_embeddings*"),
    )
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, requests)
    assert facts["int8_share"] > 0.6
    assert facts["inputs"]["input_ids"] == ["batch", "sequence"]
    assert facts["outputs"] == {"logits": ["batch", 2]}
    assert facts["opset"] == 20
    # What stays in float: the excluded head, which is a Gemm, and the excluded table, which is looked up as it is.
    assert facts["operators"]["Gemm"] == 1
    assert facts["operators"]["MatMul"] == 4 + 2 * 6 + 1
    assert facts["constant_bytes"]["FLOAT"] >= 4 * (2 * 32 + 64 * 32)
    assert 0 < facts["max_abs_difference"] < 3
    assert b".py" not in (tmp_path / "q.onnx").read_bytes()
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers
