from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.measure.model.facts import facts_of
from edgesft.measure.model.graph import precision, tables

WEIGHT = np.ones((4, 4), np.float32)


def model(
    nodes: list[onnx.NodeProto], inputs: dict[str, int], weights: dict[str, np.ndarray | onnx.TensorProto]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, dtype, ["batch", 4]) for name, dtype in inputs.items()],
        [],
        [w if isinstance(w, onnx.TensorProto) else numpy_helper.from_array(w, name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def label(
    folder: Path, operators: list[str], weight: np.ndarray | onnx.TensorProto | None, **attributes: int
) -> str | None:
    nodes = [helper.make_node(name, ["x", "w"], [f"y{index}"], **attributes) for index, name in enumerate(operators)]
    made = model(nodes, {"x": TensorProto.FLOAT}, {} if weight is None else {"w": weight})
    place = folder / "model.onnx"
    onnx.save(made, place)
    return precision(made, facts_of(made, place))


@pytest.mark.parametrize(
    ("operators", "dtype", "expected"),
    [
        (["MatMul"], np.float32, "fp32"),
        (["Cast", "MatMul"], np.float16, "fp16"),
        (["MatMul"], np.float64, "fp64"),
        (["QuantizeLinear", "DequantizeLinear", "MatMul"], np.int8, "int8-static"),
        (["QLinearConv"], np.int8, "int8-static"),
        (["DynamicQuantizeLinear", "MatMulInteger"], np.int8, "int8-dynamic"),
        (["DynamicQuantizeLSTM"], np.int8, "int8-dynamic"),
        (["DequantizeLinear", "MatMul"], np.int8, "int8-weights"),
        (["MatMulNBits"], np.uint8, "int4"),
    ],
)
def test_precision(tmp_path: Path, operators: list[str], dtype: type, expected: str) -> None:
    assert label(tmp_path, operators, WEIGHT.astype(dtype)) == expected


def test_precision_of_packed_small_and_missing_weights(tmp_path: Path) -> None:
    assert label(tmp_path, ["MatMulNBits"], WEIGHT.astype(np.uint8), bits=8) == "int8"
    small = helper.make_tensor("w", TensorProto.INT4, [4], [1, 2, 3, 4])
    assert label(tmp_path, ["DequantizeLinear"], small) == "int4"
    eight = helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [2], [1.0, 2.0])
    assert label(tmp_path, ["QuantizeLinear"], eight) == "fp8"
    assert label(tmp_path, ["Relu"], None) == "fp32"
    made = model([helper.make_node("Neg", ["x"], ["y"])], {"x": TensorProto.INT64}, {})
    onnx.save(made, tmp_path / "model.onnx")
    assert precision(made, facts_of(made, tmp_path / "model.onnx")) is None


def test_tables_are_found_through_what_keeps_the_ids() -> None:
    nodes = [
        helper.make_node("Cast", ["ids"], ["ids64"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["ids64", "axes"], ["ids3"]),
        helper.make_node("Gather", ["words", "ids3"], ["a"]),
        helper.make_node("DequantizeLinear", ["types_q", "scale"], ["types"]),
        helper.make_node("Gather", ["types", "kinds"], ["b"]),
        helper.make_node("Add", ["kinds", "one"], ["more"]),
        helper.make_node("Gather", ["words", "more"], ["c"]),
        helper.make_node("Gather", ["a", "free"], ["d"]),
    ]
    weights = {
        "words": np.zeros((30, 4), np.float32),
        "types_q": np.zeros((2, 4), np.int8),
        "scale": np.ones((), np.float32),
        "axes": np.array([2]),
        "one": np.array([1]),
    }
    made = model(nodes, dict.fromkeys(("ids", "kinds", "free"), TensorProto.INT32), weights)
    assert tables(made) == {"ids": 30, "kinds": 2}


def test_tables_by_axis_smallest_constant_and_in_a_branch() -> None:
    inner = helper.make_graph([helper.make_node("Gather", ["small", "ids"], ["s"])], "then", [], [])
    constant = numpy_helper.from_array(np.zeros((5, 9), np.float32))
    nodes = [
        helper.make_node("Constant", [], ["table"], value=constant),
        helper.make_node("Gather", ["table", "across"], ["a"], axis=1),
        helper.make_node("Gather", ["table", "ids"], ["b"]),
        helper.make_node("If", ["flag"], ["c"], then_branch=inner, else_branch=inner),
        helper.make_node("EmbedLayerNormalization", ["pair", "", "small", "table", ""], ["e"], domain="com.microsoft"),
    ]
    inputs = dict.fromkeys(("ids", "across", "flag", "pair"), TensorProto.INT64)
    made = model(nodes, inputs, {"small": np.zeros((3, 2), np.float32)})
    assert tables(made) == {"across": 9, "ids": 3, "pair": 3}
