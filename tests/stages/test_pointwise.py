"""Convolutions of one position as products: the same answers, in fewer bits as well, where it pays."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.spec.stages import OptimizeSpec
from edgesft.stages import optimize
from edgesft.stages.artefact import Artefact
from edgesft.stages.optimize.pointwise import pointwise_products
from edgesft.stages.quantize import dynamic, static
from tests.stages.surroundings import Small, context, small

NAME = "pointwise products"


def conv(inputs: str, name: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", inputs.split(), [name], name, **attributes)


def net(place: Path, nodes: Sequence[onnx.NodeProto], output: str, axes: int = 2, **weights: Sequence[int]) -> Path:
    """A file of nodes that read `x`, [rows, 4, …], whose rows and positions are free; weights by their shapes."""
    random = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name) for name, shape in weights.items()
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4, *[f"axis{axis}" for axis in range(axes)]])
    y = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * (2 + axes))
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), place)
    return place


def made(source: Path) -> tuple[Path, int]:
    """The file with products, and how many of them."""
    program, target = onnx_ir.load(source), source.with_name("products.onnx")
    count = pointwise_products(program)
    onnx_ir.save(program, target)
    onnx.checker.check_model(str(target), full_check=True)
    return target, count


def answers(file: Path, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    return found


def as_run(file: Path) -> Counter[str]:
    """Operators that ONNX Runtime has once it has optimised a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(file.with_name("run.onnx")), 3
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def chain(place: Path) -> Path:
    nodes = [conv("x a b", "up"), helper.make_node("Relu", ["up"], ["high"], "relu"), conv("high c", "down")]
    return net(place, nodes, "down", a=[8, 4, 1, 1], b=[8], c=[6, 8, 1, 1])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_answers_stay_for_any_rows_and_positions(axes: int, tmp_path: Path) -> None:
    ones = [1] * axes
    nodes = [conv("x a b", "same"), conv("same c", "wide", kernel_shape=ones, strides=ones, pads=[0, 0] * axes)]
    source = net(tmp_path / "net.onnx", nodes, "wide", axes, a=[4, 4, *ones], b=[4], c=[7, 4, *ones])
    target, count = made(source)
    after = onnx.load(target).graph
    assert count == 2 and "Conv" not in {node.op_type for node in after.node} and after.output[0].name == "wide"
    for rows, sizes in ((1, (5, 3, 2)), (3, (1, 4, 6))):
        x = np.random.default_rng(1).normal(size=(rows, 4, *sizes[:axes])).astype(np.float32)
        np.testing.assert_allclose(answers(target, x), answers(source, x), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ([4, 4, 3, 3], {}),
        ([4, 4, 1, 3], {}),
        ([4, 4, 1, 1], {"strides": [2, 2]}),
        ([4, 4, 1, 1], {"pads": [0, 0, 1, 0]}),
        ([4, 1, 1, 1], {"group": 4}),
    ],
)
def test_other_convolutions_stay(shape: list[int], attributes: dict[str, object], tmp_path: Path) -> None:
    target, count = made(net(tmp_path / "net.onnx", [conv("x a", "y", **attributes)], "y", a=shape))
    assert count == 0 and [node.op_type for node in onnx.load(target).graph.node] == ["Conv"]


def test_weights_that_are_computed_stay(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["a"], ["positive"], "relu"), conv("x positive", "y")]
    assert made(net(tmp_path / "net.onnx", nodes, "y", a=[4, 4, 1, 1]))[1] == 0


def test_what_several_read_is_transposed_once(tmp_path: Path) -> None:
    nodes = [conv("x a", "left"), conv("x b", "right"), helper.make_node("Concat", ["left", "right"], ["y"], axis=1)]
    source = net(tmp_path / "net.onnx", nodes, "y", a=[2, 4, 1, 1], b=[3, 4, 1, 1])
    target, count = made(source)
    found = Counter(node.op_type for node in onnx.load(target).graph.node)
    assert count == 2 and found == {"Transpose": 3, "MatMul": 2, "Concat": 1}
    x = np.ones((2, 4, 3, 3), np.float32)
    np.testing.assert_allclose(answers(target, x), answers(source, x), atol=1e-5)


def test_the_runtime_transposes_nothing_between_products(tmp_path: Path) -> None:
    target, count = made(chain(tmp_path / "net.onnx"))
    assert count == 2 and as_run(target)["Transpose"] == 2


def test_products_are_quantized_under_the_convolutions_names(tmp_path: Path) -> None:
    target, _ = made(chain(tmp_path / "net.onnx"))
    x = np.random.default_rng(1).normal(size=(2, 4, 5, 5)).astype(np.float32)
    # With 7 bits: without VNNI, products of 8 saturate.
    plan = static(target, tmp_path / "static.onnx", [{"x": x}], reduced=True)
    assert plan.quantized == ("up", "down") and as_run(tmp_path / "static.onnx")["MatMulIntegerToFloat"] == 2
    assert dynamic(target, tmp_path / "dynamic.onnx", exclude=["up"]).quantized == ("down",)
    plain = answers(target, x)
    assert np.abs(answers(tmp_path / "static.onnx", x) - plain).max() < 0.05 * np.abs(plain).max()


@pytest.fixture(scope="module")
def model(bert: Path) -> Small:
    return small(bert)


@pytest.fixture(scope="module")
def artefact(model: Small, tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """The classifier, whose answers a convolution mixes."""
    whole = model.export(tmp_path_factory.mktemp("pointwise") / "onnx")
    file = onnx.load(whole.model)
    for node in file.graph.node:
        node.output[:] = ["scores" if name == "logits" else name for name in node.output]
    mixed = np.array([[[1.0], [0.5]], [[-0.5], [1.0]]], np.float32)
    file.graph.initializer.extend(
        [numpy_helper.from_array(mixed, "mix"), numpy_helper.from_array(np.array([2]), "two")]
    )
    file.graph.node.extend(
        [
            helper.make_node("Unsqueeze", ["scores", "two"], ["position"], "unsqueeze"),
            conv("position mix", "mixed"),
            helper.make_node("Squeeze", ["mixed", "two"], ["logits"], "squeeze"),
        ]
    )
    onnx.save(file, whole.model)
    return whole


def timed(share: float, seen: list[Counter[str]]) -> Callable[[Sequence[Path]], list[int]]:
    """Takes that share of the time for a graph with the convolution as a product; others take the same."""

    def latency(files: Sequence[Path]) -> list[int]:
        operators = [Counter(node.op_type for node in onnx.load(file).graph.node) for file in files]
        seen.extend(operators)
        return [1000 if found["Conv"] else int(1000 * share) for found in operators]

    return latency


def outcome(
    model: Small, artefact: Artefact, folder: Path, share: float, precision: str = "fp32"
) -> tuple[str, str, Counter[str], list[Counter[str]]]:
    """Summary, verdict, operators of the result, and operators of what was timed."""
    seen: list[Counter[str]] = []
    surroundings = context(folder / "work", model, latency=timed(share, seen))
    spec = OptimizeSpec.model_validate({"stage": "optimize", "precision": precision})
    report = optimize.run(spec, artefact, folder / "out", surroundings)
    verdict = next(row["verdict"] for row in report.details["rewritings"] if row["name"] == NAME)
    nodes = onnx.load(folder / "out/model.onnx").graph.node
    return report.summary, verdict, Counter(node.op_type for node in nodes), seen


def test_it_is_kept_where_it_pays(model: Small, artefact: Artefact, tmp_path: Path) -> None:
    summary, verdict, operators, _ = outcome(model, artefact, tmp_path, 0.8)
    assert summary.startswith(f"1 {NAME} × 0.80") and verdict == "kept" and not operators["Conv"]
    summary, verdict, operators, _ = outcome(model, artefact, tmp_path / "slow", 1.3)
    assert NAME not in summary and verdict == "does not pay" and operators["Conv"] == 1


def test_it_is_timed_in_int8(model: Small, artefact: Artefact, tmp_path: Path) -> None:
    _, verdict, _, (before, after, *_) = outcome(model, artefact, tmp_path, 0.8, "int8-static")
    assert verdict == "kept" and before["Conv"] == 1 and before["DequantizeLinear"] and not after["Conv"]
    assert after["DequantizeLinear"] >= before["DequantizeLinear"] - 1, "the product has weights of 8 bits, too"


def test_what_mostly_loses_is_not_what_pruning_measures(artefact: Artefact, tmp_path: Path) -> None:
    shutil.copytree(artefact.path, tmp_path / "in")
    optimize.rewritten(tmp_path / "in/model.onnx", tmp_path / "out.onnx")
    found = Counter(node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node)
    assert found["Conv"] == 1 and found["MultiHeadAttention"] == 2
