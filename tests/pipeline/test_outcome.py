"""What a row says of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.pipeline.outcome import Row
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageReport
from edgesft.stages.quantize import dynamic


@pytest.mark.parametrize(
    ("details", "quantized", "precision"),
    [
        ({}, False, "fp32"),
        ({"chosen": None}, False, "fp32"),
        ({}, True, "int8-dynamic"),
        ({"chosen": "int8-dynamic-smooth"}, True, "int8-dynamic-smooth"),
    ],
)
def test_precision_is_what_was_chosen_or_what_the_file_tells(
    details: dict[str, Any], quantized: bool, precision: str, tmp_path: Path
) -> None:
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "weight")
    given, left = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"], "m")], "g", [given], [left], [weight])
    plain = tmp_path / "plain.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), plain)
    if quantized:
        dynamic(plain, tmp_path / "model.onnx")
    else:
        plain.rename(tmp_path / "model.onnx")
    row = Row("optimize", "optimize", Artefact("onnx", tmp_path, "key"), StageReport("", details), {})
    assert row.precision == precision
