"""Weights in 8 bits that are floats again once the file is loaded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.measure.model.facts import read_facts
from edgesft.measure.model.graph import precision, tables
from edgesft.stages.artefact import Artefact
from edgesft.stages.quantize import make_plan, weights
from edgesft.stages.quantize.verify import verify
from edgesft.stages.quantize.weights import LEVELS, rounded, store_weights
from tests.stages.surroundings import TASK, Small

RNG = np.random.default_rng(0)


def random(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def small_model(
    op: str, shape: tuple[int, ...], constants: dict[str, np.ndarray], **attributes: object
) -> onnx.ModelProto:
    """One node that reads `x`, float of this shape or row numbers."""
    first = TensorProto.INT64 if op == "Gather" else TensorProto.FLOAT
    names = [*constants, "x"] if op == "Gather" else ["x", *constants]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], name="node", **attributes)],
        "g",
        [helper.make_tensor_value_info("x", first, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


CASES = {
    "product": small_model("MatMul", (3, 64), {"w": random(64, 48)}),
    "products": small_model("MatMul", (2, 3, 64), {"w": random(2, 64, 48)}),
    "gemm": small_model("Gemm", (3, 64), {"w": random(64, 48)}),
    "gemm, turned": small_model("Gemm", (3, 64), {"w": random(48, 64)}, transB=1, alpha=0.5),
    "convolution": small_model("Conv", (1, 16, 9, 9), {"w": random(32, 16, 3, 3)}),
    "depthwise": small_model("Conv", (1, 32, 9, 9), {"w": random(32, 1, 5, 5)}, group=32),
    "transposed": small_model("ConvTranspose", (1, 32, 9, 9), {"w": random(32, 16, 3, 3)}),
    "in groups": small_model("ConvTranspose", (1, 32, 9, 9), {"w": random(32, 2, 3, 3)}, group=8),
    "recurrent": small_model(
        "LSTM", (5, 1, 32), {"w": random(1, 64, 32) / 6, "r": random(1, 64, 16) / 4}, hidden_size=16
    ),
    "look-up": small_model("Gather", (1, 7), {"w": random(90, 32)}),
    "columns": small_model("Gather", (1, 7), {"w": random(32, 90)}, axis=1),
}


def optimised(model: onnx.ModelProto, place: Path) -> tuple[ort.InferenceSession, Counter[str]]:
    """A session, and the operators that it runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(place), 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session, Counter(node.op_type for node in onnx.load(place).graph.node)


@pytest.mark.parametrize("case", CASES)
def test_the_runtime_runs_the_same_operators_on_rounded_weights(case: str, tmp_path: Path) -> None:
    model = CASES[case]
    onnx.save(model, tmp_path / "m.onnx")
    plan = weights(tmp_path / "m.onnx", tmp_path / "q.onnx")
    (before, operators), (after, theirs) = (
        optimised(onnx.load(tmp_path / name), tmp_path / f"{name}.out") for name in ("m.onnx", "q.onnx")
    )
    assert operators == theirs and plan.quantized == ("node",)
    shape = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim]
    x = RNG.integers(0, 90, shape) if case in ("look-up", "columns") else random(*shape)
    (expected, *_), (got, *_) = before.run(None, {"x": x}), after.run(None, {"x": x})
    assert 0 < np.abs(expected - got).max() < 0.02 * np.abs(expected).max()
    facts = verify(tmp_path / "q.onnx", tmp_path / "m.onnx", plan, [{"x": x}])
    assert facts["constant_bytes"]["INT8"] * 4 == plan.weight_bytes
    assert facts["size_ratio"] < 0.5


def test_each_output_channel_has_a_scale_of_its_own(tmp_path: Path) -> None:
    wide = random(64, 48) * np.geomspace(1e-3, 1, 48, dtype=np.float32)
    onnx.save(small_model("MatMul", (3, 64), {"w": wide}), tmp_path / "m.onnx")
    x = random(3, 64)
    apart = []
    for per_channel in (True, False):
        weights(tmp_path / "m.onnx", tmp_path / "q.onnx", per_channel=per_channel)
        session, _ = optimised(onnx.load(tmp_path / "q.onnx"), tmp_path / "o.onnx")
        (got,) = session.run(None, {"x": x})
        apart.append(np.abs(got[:, 0] - x @ wide[:, 0]).max() / np.abs(x @ wide[:, 0]).max())
    assert apart[0] < 0.02 < 0.5 < apart[1]


def test_weights_of_zeros_stay_zeros() -> None:
    levels, scale = rounded(np.array([[0.0, 0.0], [-2.0, 1.0]], np.float32), (1,))
    assert levels.tolist() == [[0, 0], [-LEVELS, 64]] and scale.shape == (2, 1) and np.isfinite(scale).all()


def test_a_table_that_is_multiplied_by_as_well_is_stored_once() -> None:
    table = numpy_helper.from_array(random(90, 32), "w")
    nodes = [
        helper.make_node("Gather", ["w", "x"], ["rows"], name="look-up"),
        helper.make_node("Transpose", ["w"], ["turned"], name="turn", perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "turned"], ["y"], name="product"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.INT64, [7])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [7, 90])
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [table]), ir_version=8)
    store_weights(model, ["w"])
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.data_type for tensor in model.graph.initializer] == [TensorProto.INT8, TensorProto.FLOAT]


def test_weights_that_old_files_list_among_the_inputs_are_none_any_more(tmp_path: Path) -> None:
    model = small_model("Conv", (1, 16, 9, 9), {"w": random(32, 16, 3, 3)})
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (32, 16, 3, 3)))
    store_weights(model, ["w"])
    session, operators = optimised(model, tmp_path / "o.onnx")
    assert [each.name for each in session.get_inputs()] == ["x"] and "Cast" not in operators


def test_a_model_of_a_task(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    plan = weights(artefact.model, tmp_path / "q.onnx", exclude=("classifier.*",))
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, TASK.requests(tiny_model.rows, tiny_model.processor))
    assert facts["int8_share"] > 0.7 and "exclude pattern" in plan.excluded["classifier.Gemm"]
    file = tmp_path / "q.onnx"
    assert precision(onnx.load(file), read_facts(file)) == "int8-weights"


def test_scales_follow_what_is_summed_into_one_output() -> None:
    narrow = np.geomspace(1e-3, 1, 32, dtype=np.float32)
    cases = {
        "in groups": (CASES["in groups"], random(32, 2, 3, 3) * narrow[:, None, None, None]),
        "columns": (CASES["columns"], random(32, 90) * np.repeat(narrow, 3)[:90]),
    }
    for name, (model, values) in cases.items():
        made = onnx.ModelProto()
        made.CopyFrom(model)
        made.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "w"))
        store_weights(made, ["w"])
        levels, scale = (numpy_helper.to_array(tensor) for tensor in made.graph.initializer)
        off = np.abs(levels * scale - values).max(axis=tuple(range(1, values.ndim)) if name == "in groups" else 0)
        assert (off <= 0.51 * scale.squeeze().reshape(len(off), -1).max(axis=1)).all()
        assert scale.size == {"in groups": 64, "columns": 90}[name], name


def two_readers(*, op: str = "MatMul") -> onnx.ModelProto:
    """Rows of a table, and a product with it."""
    table = numpy_helper.from_array(random(64, 48), "w")
    nodes = [
        helper.make_node("Gather", ["w", "x"], ["rows"], name="look-up"),
        helper.make_node(op, ["v", "w"], ["y"], name="product"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.INT64, [7])
    v = helper.make_tensor_value_info("v", TensorProto.FLOAT, [3, 64])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("rows", "y")]
    return helper.make_model(helper.make_graph(nodes, "g", [x, v], outputs, [table]), ir_version=8)


def test_a_product_decides_the_scales_of_a_table_that_is_looked_up_as_well() -> None:
    model = two_readers()
    assert store_weights(model, ["w"]) == 4 * 48


def test_what_an_excluded_node_reads_stays(tmp_path: Path) -> None:
    onnx.save(two_readers(), tmp_path / "m.onnx")
    assert make_plan(tmp_path / "m.onnx", "int8-weights").weights == ("w",)
    assert make_plan(tmp_path / "m.onnx", "int8-weights", exclude=["product"]).weights == ()


def test_nodes_without_a_name_and_tables_of_numbers(tmp_path: Path) -> None:
    values = {"w": random(64, 48), "numbers": np.arange(90).reshape(45, 2)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["found"]),
        helper.make_node("Relu", ["found"], ["y"]),
        helper.make_node("Gather", ["numbers", "rows"], ["z"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 64]),
        helper.make_tensor_value_info("rows", TensorProto.INT64, [2]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    outputs.append(helper.make_tensor_value_info("z", TensorProto.INT64, None))
    kept = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, kept)
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "m.onnx")
    plan = weights(tmp_path / "m.onnx", tmp_path / "q.onnx")
    facts = verify(tmp_path / "q.onnx", tmp_path / "m.onnx", plan, [{"x": random(3, 64), "rows": np.arange(2)}])
    assert facts["constant_bytes"]["INT8"] == 64 * 48 and facts["constant_bytes"]["INT64"] == 720


def test_tables_with_more_scales_than_most_weights_are_found_as_planned(tmp_path: Path) -> None:
    onnx.save(small_model("Gather", (1, 7), {"w": random(9000, 16)}), tmp_path / "m.onnx")
    plan = weights(tmp_path / "m.onnx", tmp_path / "q.onnx")
    assert plan.scale_bytes == 4 * 9000
    verify(tmp_path / "q.onnx", tmp_path / "m.onnx", plan, [{"x": np.arange(7)[None]}])


def test_names_that_are_taken() -> None:
    model = small_model("Gemm", (3, 64), {"w": random(64, 48), "w.scale": random(48)})
    store_weights(model, ["w"])
    ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [tensor.name for tensor in model.graph.initializer] == ["w.scale", "w.levels", "w.scale_"]


def test_inputs_that_look_up_rows_are_found_behind_the_scales() -> None:
    model = small_model("Gather", (1, 7), {"w": random(90, 32)})
    assert tables(model) == {"x": 90}
    store_weights(model, ["w"])
    assert tables(model) == {"x": 90}
