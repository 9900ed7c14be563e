from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.errors import StageError
from edgesft.measure.model.facts import read_facts


def _model(weight: np.ndarray) -> onnx.ModelProto:
    """x[batch, 4] → MatMul → If, whose branch holds a Constant node."""
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(3, np.float32)))
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [3])])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("If", ["flag"], ["z"], then_branch=branch, else_branch=branch),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, [3]),
        ],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.zeros((5,), np.int8), "q")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])


def test_counts_what_is_in_the_file(tmp_path: Path) -> None:
    place = tmp_path / "model.onnx"
    onnx.save(_model(np.ones((4, 2), np.float32)), place)
    facts = read_facts(place)
    assert facts.opset == 19
    assert facts.operators == {"Constant": 2, "If": 1, "MatMul": 1}
    assert facts.nodes == 4
    assert facts.inputs == {"x": ("batch", 4), "flag": ()}
    assert facts.constant_bytes == {"FLOAT": 4 * 8 + 2 * 4 * 3, "INT8": 5}
    assert facts.parameters == 8 + 3 + 3 + 5
    assert facts.int8_share == pytest.approx(5 / (56 + 5))
    assert facts.size_bytes == place.stat().st_size
    assert facts.to_json()["inputs"]["x"] == ["batch", 4]


def test_external_data_counts_and_must_be_there(tmp_path: Path) -> None:
    place = tmp_path / "model.onnx"
    weight = np.ones((4, 2), np.float32)
    onnx.save(_model(weight), place, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    data = tmp_path / "model.onnx.data"
    assert data.stat().st_size >= weight.nbytes
    assert read_facts(place).size_bytes == place.stat().st_size + data.stat().st_size
    assert read_facts(place).constant_bytes["FLOAT"] == 56
    data.unlink()
    with pytest.raises(StageError, match="external data"):
        read_facts(place)


def test_another_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "model.onnx"
    place.write_bytes(b"not a model, at all")
    with pytest.raises(StageError, match="ONNX file"):
        read_facts(place)
