"""Tables that are looked up and multiplied by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesft.measure.fingerprint import machine
from edgesft.measure.saturation import saturates
from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize import dynamic, static
from edgesft.stages.quantize.tie import tie
from edgesft.stages.quantize.verify import verify

ROWS, WIDTH = 60, 32
FEEDS = {"ids": np.array([[3, 59, 0, 7]])}


def ranking(folder: Path, *, turned: bool, other: bool = False) -> Path:
    """Scores of all rows of a table by the sum of those that were looked up; `other`: by those of another table."""
    rng = np.random.default_rng(0)
    table, wide = (rng.standard_normal((ROWS, WIDTH)).astype(np.float32) for _ in range(2))
    constants = {"table": table}
    if turned:
        constants["weight"] = np.ascontiguousarray((wide if other else table).T)
        product = helper.make_node("MatMul", ["sum", "weight"], ["scores"], "product")
    else:
        constants |= {"weight": wide} if other else {}
        product = helper.make_node("Gemm", ["sum", "weight" if other else "table"], ["scores"], "product", transB=1)
    constants["axis"] = np.array([1], np.int64)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "look-up"),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sum"], "sum", keepdims=0),
        product,
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["batch", "positions"])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["batch", ROWS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "f.onnx")
    return folder / "f.onnx"


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("turned", [False, True])
def test_one_table_is_stored_once(turned: bool, per_channel: bool, tmp_path: Path) -> None:
    source = ranking(tmp_path, turned=turned)
    plan = dynamic(source, tmp_path / "q.onnx", per_channel=per_channel, reduced=saturates(machine()))
    facts = verify(tmp_path / "q.onnx", source, plan, [FEEDS])
    assert facts["constant_bytes"]["INT8"] < 1.2 * ROWS * WIDTH
    assert facts["constant_bytes"].get("UINT8", 0) < ROWS
    assert plan.tied_bytes == (4 * ROWS * WIDTH if turned else 0), "what the file had twice is missed nowhere"
    whole, found = (file_run({"model": path})(FEEDS)["scores"] for path in (source, tmp_path / "q.onnx"))
    assert np.abs(whole - found).max() < 0.02 * np.abs(whole).max()
    assert not tie(onnx.load(tmp_path / "q.onnx"))


def test_tables_of_other_numbers_stay(tmp_path: Path) -> None:
    plan = dynamic(ranking(tmp_path, turned=True, other=True), tmp_path / "q.onnx")
    model = onnx.load(tmp_path / "q.onnx")
    assert plan.tied_bytes == 0 and not any(node.op_type == "Transpose" for node in model.graph.node)


def test_fixed_ranges_take_such_a_table(tmp_path: Path) -> None:
    source = ranking(tmp_path, turned=False)
    plan = static(source, tmp_path / "q.onnx", [FEEDS, {"ids": np.arange(ROWS)[None]}], reduced=saturates(machine()))
    verify(tmp_path / "q.onnx", source, plan, [FEEDS])
    whole, found = (file_run({"model": path})(FEEDS)["scores"] for path in (source, tmp_path / "q.onnx"))
    assert np.abs(whole - found).max() < 0.05 * np.abs(whole).max()
