"""Constants that only a branch reads stay, whatever is done to the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize.tables import pack_tables
from edgesft.stages.quantize.tie import tie
from edgesft.stages.quantize.untie import untied

ROWS, WIDTH = 40, 32
FEEDS = {"ids": np.array([[3, 39, 0, 7]])}


def branching() -> onnx.ModelProto:
    """Looked-up rows, times the same table turned, plus what only a branch reads."""
    table = np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)
    constants = {"table": table, "always": np.asarray(True), "inside": np.full(ROWS, 7, np.float32), "spare": table}
    taken = helper.make_tensor_value_info("taken", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Identity", ["inside"], ["taken"])], "branch", [], [taken])
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "look-up"),
        helper.make_node("Transpose", ["table"], ["turned"], "turn", perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "turned"], ["product"], "product"),
        helper.make_node("If", ["always"], ["more"], "branch", then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["product", "more"], ["scores"], "sum"),
    ]
    given = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "positions"])]
    left = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "positions", ROWS]),
        helper.make_tensor_value_info("spare", TensorProto.FLOAT, [ROWS, WIDTH]),
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", given, left, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("change", ["pack", "tie", "untie"])
def test_what_a_branch_or_nobody_but_the_caller_reads_stays(change: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source.onnx", tmp_path / "target.onnx"
    model = branching()
    onnx.save(model, source)
    if change == "untie":
        assert untied(source, target) == target
    else:
        assert pack_tables(model, ["look-up"]) == {"look-up"} if change == "pack" else tie(model) == {}
        onnx.save(model, target)
    whole, found = (file_run({"model": path})(FEEDS) for path in (source, target))
    assert np.corrcoef(whole["scores"].ravel(), found["scores"].ravel())[0, 1] > 0.99
    assert np.array_equal(whole["spare"], found["spare"])
