"""Scales that move from activations into weights: the float model answers alike, the rounded one better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.stages.export.checks import open_session
from edgesft.stages.quantize.ort import dynamic, static
from edgesft.stages.quantize.smooth import smooth

WIDTH, LARGE = 32, 200.0
IMAGE, ROWS = ["batch", 3, 12, 12], ["batch", WIDTH]


def _write(
    place: Path, nodes: Sequence[onnx.NodeProto], weights: Mapping[str, np.ndarray], shape: Sequence[str | int]
) -> Path:
    """A model of nodes from `x` to `y`; each node is called as its first output."""
    for node in nodes:
        node.name = node.output[0]
    ends = [helper.make_tensor_value_info(*each) for each in (("x", TensorProto.FLOAT, shape), ("y", 1, None))]
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(list(nodes), "graph", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), place)
    return place


def _answers(place: Path, requests: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    session = open_session(place)
    return np.concatenate([session.run(["y"], dict(request))[0].ravel() for request in requests])


def _apart(place: Path, exact: np.ndarray, requests: Sequence[Mapping[str, np.ndarray]]) -> float:
    """Relative error in the mean square."""
    found = _answers(place, requests)
    return float(np.sqrt(((found - exact) ** 2).mean() / (exact**2).mean()))


def _requests(shape: Sequence[str | int], count: int = 8) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=(1, *shape[1:])).astype(np.float32)} for _ in range(count)]


def _norm(place: Path, *, large: float = LARGE, residual: bool = False) -> Path:
    """A normalisation, one of whose channels is large and read with small weights, and a product with a bias."""
    rng = np.random.default_rng(0)
    scale, product = np.ones(WIDTH), rng.normal(0, 0.2, (WIDTH, WIDTH))
    scale[3] *= large
    product[3] /= large
    last = "sum" if residual else "y"
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "shift"], ["norm"], axis=-1),
        helper.make_node("MatMul", ["norm", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], [last]),
    ]
    if residual:
        nodes.append(helper.make_node("Add", ["sum", "norm"], ["y"]))
    weights = {"scale": scale, "shift": rng.normal(size=WIDTH), "w": product, "b": rng.normal(size=WIDTH)}
    return _write(place, nodes, weights, ROWS)


def test_a_normalisation_takes_the_scales_over(tmp_path: Path) -> None:
    source, requests = _norm(tmp_path / "m.onnx"), _requests(ROWS)
    assert smooth(source, tmp_path / "s.onnx", requests, ["product"]) == ["norm"]
    exact = _answers(source, requests)
    assert [node.op_type for node in onnx.load(tmp_path / "s.onnx").graph.node] == [
        "LayerNormalization",
        "MatMul",
        "Add",
    ]
    assert _apart(tmp_path / "s.onnx", exact, requests) < 1e-5
    for name in ("m", "s"):
        dynamic(tmp_path / f"{name}.onnx", tmp_path / f"{name}8.onnx")
    plain, smoothed = (_apart(tmp_path / f"{name}8.onnx", exact, requests) for name in ("m", "s"))
    assert smoothed < 0.1 * plain


@pytest.mark.parametrize(("large", "divided"), [(LARGE, ["norm"]), (1.0, [])])
def test_beside_a_residual_sum_a_product_has_a_multiplication_where_it_pays(
    large: float, divided: list[str], tmp_path: Path
) -> None:
    source, requests = _norm(tmp_path / "m.onnx", large=large, residual=True), _requests(ROWS)
    assert smooth(source, tmp_path / "s.onnx", requests, ["product"]) == divided
    operators = [node.op_type for node in onnx.load(tmp_path / "s.onnx").graph.node]
    assert operators.count("Mul") == len(divided)
    assert _apart(tmp_path / "s.onnx", _answers(source, requests), requests) < 1e-5


def test_strength_says_how_much_moves(tmp_path: Path) -> None:
    source, requests = _norm(tmp_path / "m.onnx"), _requests(ROWS)
    seen = {}
    for strength in (0.0, 1.0):
        smooth(source, tmp_path / "s.onnx", requests, ["product"], strength=strength)
        arrays = {each.name: numpy_helper.to_array(each) for each in onnx.load(tmp_path / "s.onnx").graph.initializer}
        normed = arrays["scale"] + np.abs(arrays["shift"])
        seen[strength] = (np.ptp(normed / normed.mean()), np.ptp(np.abs(arrays["w"]).max(axis=1)))
    assert seen[0.0][1] < 1e-6  # weights are all alike: all of the difficulty is in what they read
    assert seen[1.0][0] < 1.0 < seen[0.0][0]


def test_convolutions_through_relu_and_by_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    uneven = np.logspace(-2, 2, 8)
    weights = {
        "w1": rng.normal(0, 0.3, (8, 3, 3, 3)) * uneven[:, None, None, None],
        "b1": rng.normal(size=8) * uneven,
        "w2": rng.normal(0, 0.3, (16, 1, 3, 3)) / np.repeat(uneven, 2)[:, None, None, None],  # two answers a channel
        "w3": rng.normal(0, 0.3, (4, 8, 1, 1)),
        "w4": rng.normal(0, 0.3, (5, 4, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["one"]),
        helper.make_node("Relu", ["one"], ["relu"]),
        helper.make_node("Conv", ["relu", "w2"], ["deep"], group=8),
        helper.make_node("Relu", ["deep"], ["relu2"]),
        helper.make_node("Conv", ["relu2", "w3"], ["three"], group=2),
        helper.make_node("Conv", ["three", "w4"], ["y"]),
    ]
    source, requests = _write(tmp_path / "m.onnx", nodes, weights, IMAGE), _requests(IMAGE)
    done = smooth(source, tmp_path / "s.onnx", requests, ["one", "deep", "three", "y"])
    assert done == ["relu", "relu2", "three"]
    exact = _answers(source, requests)
    assert _apart(tmp_path / "s.onnx", exact, requests) < 1e-5
    for name in ("m", "s"):
        static(tmp_path / f"{name}.onnx", tmp_path / f"{name}8.onnx", requests)
    plain, smoothed = (_apart(tmp_path / f"{name}8.onnx", exact, requests) for name in ("m", "s"))
    assert smoothed < 0.5 * plain


def test_a_weight_that_others_share_stays_theirs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale"], ["norm"], axis=-1),
        helper.make_node("MatMul", ["norm", "w"], ["product"]),
        helper.make_node("MatMul", ["x", "w"], ["other"]),
        helper.make_node("Add", ["product", "other"], ["y"]),
    ]
    scale = np.ones(WIDTH)
    scale[0] = LARGE
    source = _write(tmp_path / "m.onnx", nodes, {"scale": scale, "w": rng.normal(size=(WIDTH, WIDTH))}, ROWS)
    requests = _requests(ROWS)
    assert smooth(source, tmp_path / "s.onnx", requests, ["product"]) == ["norm"]
    assert _apart(tmp_path / "s.onnx", _answers(source, requests), requests) < 1e-5


def test_convolutions_beside_a_residual_sum_stay(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["one"]),
        helper.make_node("Conv", ["one", "w2"], ["two"]),
        helper.make_node("Add", ["one", "two"], ["y"]),
    ]
    weights = {
        "w1": rng.normal(size=(4, 3, 1, 1)) * np.logspace(0, 3, 4)[:, None, None, None],
        "w2": rng.normal(size=(4, 4, 1, 1)),
    }
    source = _write(tmp_path / "m.onnx", nodes, weights, IMAGE)
    assert smooth(source, tmp_path / "s.onnx", _requests(IMAGE), ["one", "two"]) == []
