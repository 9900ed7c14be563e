from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesft.measure.model.facts import OnnxFacts, read_facts
from edgesft.stages.quantize.fold import fold_weights, quantize_tables

RNG = np.random.default_rng(0)


def _program(nodes: list[object], arrays: dict[str, np.ndarray], kind: int, width: int | None) -> onnx_ir.Model:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, ["batch"] if width is None else ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", None])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx_ir.from_proto(model)


def _answers(program: onnx_ir.Model, x: np.ndarray, place: Path) -> tuple[np.ndarray, OnnxFacts]:
    """By the standard's own evaluator: ONNX Runtime may compute such products with fewer bits than the graph says."""
    onnx_ir.save(program, str(place))
    return ReferenceEvaluator(str(place)).run(["y"], {"x": x})[0], read_facts(place)


def _fake_quantized(rows: int, columns: int) -> dict[str, np.ndarray]:
    weight = RNG.normal(size=(rows, columns)).astype(np.float32)
    return {
        "w": weight,
        "scale": (np.abs(weight).max(1) / 127).astype(np.float32),
        "zero": np.zeros(rows, np.int8),
        "low": np.array(-127, np.int8),
        "high": np.array(127, np.int8),
    }


QUANTIZED = [
    helper.make_node("QuantizeLinear", ["w", "scale", "zero"], ["q"], "quantize", axis=0),
    helper.make_node("Clip", ["q", "low", "high"], ["clipped"], "clip"),
    helper.make_node("DequantizeLinear", ["clipped", "scale", "zero"], ["d"], "dequantize", axis=0),
]


def test_a_transposed_weight_is_stored_as_its_product_needs_it(tmp_path: Path) -> None:
    nodes = [
        *QUANTIZED,
        helper.make_node("Transpose", ["d"], ["t"], "transpose", perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"], "product"),
    ]
    program, x = _program(nodes, _fake_quantized(24, 16), TensorProto.FLOAT, 16), RNG.normal(size=(3, 16))
    before, _ = _answers(program, x.astype(np.float32), tmp_path / "before.onnx")
    assert fold_weights(program) == 1
    after, facts = _answers(program, x.astype(np.float32), tmp_path / "after.onnx")
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert facts.operators == {"DequantizeLinear": 1, "MatMul": 1}
    assert facts.constant_bytes == {"FLOAT": 24 * 4, "INT8": 24 * 16 + 24}


def test_a_gemm_becomes_a_product_and_a_sum(tmp_path: Path) -> None:
    nodes = [*QUANTIZED, helper.make_node("Gemm", ["x", "d", "b"], ["y"], "gemm", transB=1)]
    arrays = {**_fake_quantized(24, 16), "b": RNG.normal(size=24).astype(np.float32)}
    program, x = _program(nodes, arrays, TensorProto.FLOAT, 16), RNG.normal(size=(3, 16)).astype(np.float32)
    before, _ = _answers(program, x, tmp_path / "before.onnx")
    assert fold_weights(program) == 1
    after, facts = _answers(program, x, tmp_path / "after.onnx")
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert facts.operators == {"Add": 1, "DequantizeLinear": 1, "MatMul": 1}
    assert facts.constant_bytes["INT8"] == 24 * 16 + 24


def test_quantized_activations_stay(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], "dequantize"),
    ]
    arrays = {"scale": np.array(0.1, np.float32), "zero": np.array(0, np.uint8)}
    program = _program(nodes, arrays, TensorProto.FLOAT, 4)
    assert fold_weights(program) == 0
    _, facts = _answers(program, np.ones((1, 4), np.float32), tmp_path / "m.onnx")
    assert facts.operators == {"DequantizeLinear": 1, "QuantizeLinear": 1}


def test_tables_become_int8_within_half_a_step(tmp_path: Path) -> None:
    table = RNG.normal(size=(50, 8)).astype(np.float32)
    program = _program([helper.make_node("Gather", ["w", "x"], ["y"], "look")], {"w": table}, TensorProto.INT64, None)
    quantize_tables(program, {"look"})
    found, facts = _answers(program, np.arange(50), tmp_path / "m.onnx")
    np.testing.assert_allclose(found, table, atol=np.abs(table).max() / 127 / 2 + 1e-6)
    assert facts.constant_bytes == {"FLOAT": 4, "INT8": 401}
