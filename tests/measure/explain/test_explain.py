from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.explain.advice import gain
from edgesft.measure.explain.explain import TOP, Explanation, explain
from edgesft.measure.explain.layer import undisturbed
from edgesft.measure.explain.roof import Roof, measure_roof
from edgesft.measure.explain.work import UNPACKED, with_weights
from edgesft.spec.profile import ProviderSpec, SessionSpec

CPU = "CPUExecutionProvider"
ROOF = Roof(10**11, 4 * 10**11, 10**10, 100, cache_bytes=2**20)
"""0.01 ns a product of floats, a quarter of that for integers, 0.1 ns a byte."""

US = 1000
"""Nanoseconds."""


def node(op: str, ns: int, name: str = "", provider: str = CPU, **shapes: Any) -> dict[str, Any]:
    """A node of one run; by default of small floats."""
    inputs, outputs = shapes.get("inputs", [[8]]), shapes.get("outputs", [[8]])
    dtype = shapes.get("dtype", "float")
    return {
        "name": name or op.lower(),
        "op": op,
        "provider": provider,
        "calls": shapes.get("calls", 1),
        "ns": ns,
        "inputs": [[dtype, shape] for shape in inputs],
        "outputs": [[dtype, shape] for shape in outputs],
    }


def product(ns: int, name: str, **more: Any) -> dict[str, Any]:
    """10^7 products: 100 µs at the roof of fp32, 25 µs at that of int8."""
    return node("MatMul", ns, name, inputs=[[100, 1000], [1000, 100]], outputs=[[100, 100]], **more)


def explained(*nodes: dict[str, Any], roof: Roof = ROOF, latency_ns: int | None = None) -> Explanation:
    """One run, without a profiler's doing unless a latency says so."""
    total = sum(each["ns"] for each in nodes)
    return explain({"run_ns": [total], "nodes": list(nodes)}, roof, latency_ns or total)


def sentences(found: Explanation) -> str:
    return "\n".join(advice.text for advice in found.advice)


def test_times_floors_and_shares() -> None:
    found = explained(product(200 * US, "first"), product(150 * US, "second"), node("Add", 50 * US, "sum"))
    assert [layer.name for layer in found.layers] == ["first", "second", "sum"]
    first, _, last = found.layers
    assert (first.ns, first.share, first.macs, first.floor_ns, first.bound) == (
        200 * US,
        0.5,
        10**7,
        100 * US,
        "products",
    )
    assert first.distance == 2.0
    # An operator without products is only known to take as long as any node.
    assert (last.floor_ns, last.bound, last.distance) == (100, "dispatch", None)
    assert found.floor_ns == 200 * US + 100 and found.macs == 2 * 10**7
    assert found.distance == pytest.approx(400 / 200.1)
    assert found.overhead_ns == 3 * 100
    matmul = found.operators[0]
    assert (matmul.op, matmul.calls, matmul.ns, matmul.share, matmul.macs) == ("MatMul", 2, 350 * US, 0.875, 2 * 10**7)
    assert found.operators[1].macs is None
    assert found.providers == {CPU: 1.0}


def test_figures_are_of_one_run() -> None:
    nodes = [product(2000 * US, "a", calls=10), node("Add", 4000 * US, "b", calls=20)]
    found = explain({"run_ns": [580 * US, 600 * US, 620 * US] + [600 * US] * 7, "nodes": nodes}, ROOF, 600 * US)
    assert found.profiled_ns == 600 * US and found.nodes_ns == 600 * US
    assert {layer.name: (layer.ns, layer.calls) for layer in found.layers} == {"a": (200 * US, 1), "b": (400 * US, 2)}


def test_integers_have_a_roof_of_their_own() -> None:
    found = explained(product(100 * US, "q", dtype="int8"), product(100 * US, "h", dtype="float16"))
    floors = {layer.name: (layer.floor_ns, layer.bound) for layer in found.layers}
    assert floors == {"q": (25 * US, "products"), "h": (100, "dispatch")}


def test_only_what_no_cache_holds_comes_from_memory() -> None:
    large, small = [[2**20]], [[2**10]]
    found = explained(node("Add", 10**7, "large", inputs=large, outputs=large), node("Add", 10**6, inputs=small))
    # 8 MiB of which the cache may hold one.
    assert found.layers[0].floor_ns == round(7 * 2**20 / 10) and found.layers[0].bound == "memory"
    assert found.layers[0].distance == pytest.approx(10**7 / (7 * 2**20 / 10), rel=1e-5)
    assert found.layers[1].bound == "dispatch"
    unknown = Roof(10**11, None, 10**10, None, cache_bytes=None)
    assert explained(node("Add", 10**7, inputs=large, outputs=large), roof=unknown).floor_ns is None


def test_what_the_profiler_adds_to_each_node_is_taken_off() -> None:
    # 3 µs a call, seen in that the nodes take 12 µs more than the inference does by itself.
    assert undisturbed([103, 8, 7], [1, 2, 1], 106) == pytest.approx([100, 2, 4])
    # A node cannot have taken less than nothing: the rest slowed all alike.
    assert undisturbed([101, 1], [1, 1], 50) == pytest.approx([50, 0])
    assert undisturbed([60, 30], [1, 1], 100) == [60, 30]
    found = explained(product(203 * US, "a"), *(node("Add", 4 * US, f"n{i}") for i in range(9)), latency_ns=209 * US)
    assert found.layers[0].ns == 200 * US and found.layers[1].ns == US
    assert found.nodes_ns == found.latency_ns


def test_nodes_within_a_loop_count_once() -> None:
    found = explained(node("Loop", 500 * US), product(400 * US, "body"), latency_ns=500 * US)
    assert [layer.name for layer in found.layers] == ["body"]


def test_the_json_form_has_the_ten_longest() -> None:
    found = explained(*(product((100 + i) * US, f"p{i}") for i in range(30)))
    data = json.loads(json.dumps(found.to_json()))
    assert len(data["layers"]) == TOP and data["layers"][0]["name"] == "p29"
    assert data["layers"][0]["distance"] == pytest.approx(1.29)
    assert data["roof"]["int8_macs_per_second"] == 4 * 10**11
    assert data["operators"][0]["calls"] == 30 and data["advice"][0]["text"]


def test_an_empty_profile_is_an_error() -> None:
    with pytest.raises(MeasureError, match="got 0 nodes of 1 runs"):
        explain({"run_ns": [1], "nodes": []}, ROOF, 1)


# Advice ---------------------------------------------------------------------------------------------------------------


def test_amdahl() -> None:
    assert gain(0.5) == 2 and gain(0.5, 2) == pytest.approx(4 / 3) and gain(1.0, 4) == 4


def test_quantize_where_integers_are_faster() -> None:
    nodes = (product(200 * US, "a"), product(190 * US, "b"), node("Softmax", 110 * US))
    found = explained(*nodes)
    assert "products by fp32 weights take 78 % (MatMul 78 %) at 51 % of the roof" in sentences(found)
    assert "and that of int8 is 4× as high: quantize; at most 2.4× for the model" in sentences(found)
    assert found.advice[0].gain == pytest.approx(1 / (1 - 0.78 + 0.78 / 4))
    slow = Roof(10**11, 11 * 10**10, 10**10, 100)
    assert "quantize for size, not for speed" in sentences(explained(*nodes, roof=slow))
    high = Roof(10**11, 20 * 10**11, 10**10, 100)
    assert explained(*nodes, roof=high).advice[0].gain == pytest.approx(1 / (1 - 0.78 + 0.78 / 20))
    # What is far from the roof waits for data, of which an integer is a quarter.
    far = explained(product(400 * US, "a"), node("Softmax", 100 * US), roof=high)
    assert any(advice.gain == pytest.approx(1 / (0.2 + 0.8 / 4)) for advice in far.advice)
    without = Roof(10**11, None, 10**10, 100)
    assert "quantize" not in sentences(explained(*nodes, roof=without))
    assert "quantize" not in sentences(explained(product(90 * US, "a", dtype="int8")))


def test_prune_the_layer_that_stands_out_or_all() -> None:
    one = explained(product(500 * US, "big"), *(product(150 * US, f"p{i}") for i in range(5)))
    assert "'big' (MatMul 40 %): prune its channels; half of the products is at most 1.2× for the model" in sentences(
        one
    )
    alike = explained(*(product((150 + i) * US, f"p{i}") for i in range(10)))
    assert "100 % in 10 layers (MatMul 100 %), the longest 'p9' 10 %: prune all alike" in sentences(alike)


def test_products_that_are_not_what_takes_the_time_are_left_alone() -> None:
    tiny = node("Gemm", 50 * US, "tiny", inputs=[[1, 8], [8]], outputs=[[1, 8]])
    found = explained(tiny, node("Softmax", 50 * US))
    assert "prune" not in sentences(found) and "quantize" not in sentences(found)
    heads = node("FusedMatMul", 500 * US, inputs=[[1, 9, 99, 99], [1, 9, 99, 99]], outputs=[[1, 9, 99, 99]])
    assert "prune" not in sentences(explained(heads))


def test_products_far_from_the_roof() -> None:
    found = explained(product(800 * US, "far"), node("Softmax", 200 * US))
    assert "'far' (MatMul 80 %) reach only 12 % of the roof (fp32)" in sentences(found)
    assert "reach only" not in sentences(explained(product(200 * US, "near")))


def test_depthwise_convolutions() -> None:
    shapes = {"inputs": [[1, 64, 20, 20], [64, 1, 3, 3]], "outputs": [[1, 64, 18, 18]]}
    found = explained(node("Conv", 30 * US, "dw", **shapes), node("Softmax", 20 * US))
    assert "such as 'dw' take 60 % at 6 % of the roof" in sentences(found) and "blocked layout" in sentences(found)
    found = explained(node("Conv", 30 * US, "dw_nchwc", **shapes), node("Softmax", 20 * US))
    assert "such as 'dw_nchwc'" in sentences(found) and "blocked layout" not in sentences(found)


def test_normalisations_that_were_not_folded_come_first() -> None:
    found = explained(product(900 * US, "p"), node("BatchNormalization", 50 * US))
    assert found.advice[0].text.startswith("1 BatchNormalization nodes take 5 % by themselves: fold them")
    assert found.advice[0].gain is None and len(found.advice) > 1


def test_elementwise_operators_and_copies() -> None:
    found = explained(product(500 * US, "p"), node("Add", 300 * US), node("Mul", 50 * US), node("Transpose", 150 * US))
    assert "elementwise and normalisation operators take 35 % (Add 30 %, Mul 5 %): fuse them" in sentences(found)
    assert "moving data around takes 15 % (Transpose 15 %; longest 'transpose')" in sentences(found)


def test_kernels_slower_than_memory() -> None:
    # 160 kB: 16 µs from memory.
    shapes = {"inputs": [[20_000]], "outputs": [[20_000]]}
    found = explained(product(120 * US, "p"), node("SkipLayerNormalization", 80 * US, **shapes))
    assert "40 % of the time goes into operators that take 5× as long" in sentences(found)
    assert found.advice[0].gain != gain(0.4)
    assert "as long" not in sentences(
        explained(product(120 * US, "p"), node("SkipLayerNormalization", 30 * US, **shapes))
    )


def test_many_small_nodes() -> None:
    found = explained(*(node("Sigmoid", 500, f"s{i}") for i in range(300)))
    assert "100 % of the time passes between nodes, or in 300 that are so small" in sentences(found)
    assert "fuse" not in sentences(found)


def test_conversions() -> None:
    found = explained(product(900 * US, "p", dtype="int8"), node("QuantizeLinear", 60 * US, name="q"))
    assert "1 conversions from and to 8 bits take 6 % (QuantizeLinear 6 %)" in sentences(found)
    found = explained(product(90 * US, "p"), node("Cast", 10 * US, "InsertedPrecisionFreeCast_x"))
    assert "computes this half-precision model in fp32" in found.advice[0].text


def test_what_a_provider_leaves_to_the_cpu() -> None:
    npu = "QNNExecutionProvider"
    found = explained(product(700 * US, "p", provider=npu), node("Resize", 250 * US), node("MemcpyToHost", 50 * US))
    assert "30 % of the time passes on CPUExecutionProvider or in copies to it (Resize 25 %" in sentences(found)
    assert found.providers == {npu: 0.7, CPU: 0.3}


def test_nothing_follows_from_the_times_of_starting_kernels() -> None:
    found = explained(product(700 * US, "p", provider="CUDAExecutionProvider"), node("Add", 300 * US))
    assert len(found.advice) == 1 and "return before the device has finished" in found.advice[0].text


def test_a_model_near_the_roof_is_left_as_it_is() -> None:
    found = explained(
        node("FusedMatMul", 500, inputs=[[1, 2, 8, 8]] * 2, outputs=[[1, 2, 8, 8]]), roof=Roof(*[None] * 4)
    )
    assert [advice.text for advice in found.advice] == [
        "nothing here is worth the work: no part of it stands out; only a smaller model or another machine is faster"
    ]


# A real model ---------------------------------------------------------------------------------------------------------


def save_two(path: Path) -> Path:
    """A convolution of 8 channels into 16, 3 x 3 over 20 x 20, and a product 64 x 32 x 24."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {"kernel": rng.random((16, 8, 3, 3)), "matrix": rng.random((32, 24))}
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["features"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("MatMul", ["rows", "matrix"], ["product"], name="product"),
    ]
    shapes = {"image": [1, 8, 20, 20], "rows": [64, 32], "features": [1, 16, 20, 20], "product": [64, 24]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    ends = list(values.values())
    graph = helper.make_graph(nodes, "two", ends[:2], ends[2:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_a_real_model_is_counted_right(tmp_path: Path) -> None:
    providers = [ProviderSpec(name=CPU)]
    feeds = {"image": np.ones((1, 8, 20, 20), np.float32), "rows": np.ones((64, 32), np.float32)}
    path = save_two(tmp_path / "two.onnx")
    for _ in range(5):
        with Agent() as agent:
            agent.load(path, providers, 1)
            agent.request(feeds)
            latency_ns = agent.warm_up(0.1).typical_ns
            profile = agent.profile(10)
            agent.load(path, providers, 1, session=SessionSpec(entries=UNPACKED))
            whole = with_weights(profile, agent.profile(1))
        found = explain(whole, measure_roof(providers, 1, Agent), latency_ns)
        # Others may have used the machine while its roof was measured, and not while the model was.
        if found.floor_ns and found.floor_ns < latency_ns:
            break
    macs = {operator.op: operator.macs for operator in found.operators if operator.macs}
    # The blocked layout of this machine may pad nothing here: both channels are multiples of 8, and 16 is one block.
    assert macs == {"Conv": 16 * 20 * 20 * 8 * 9, "MatMul": 64 * 32 * 24}
    assert 0 < found.nodes_ns <= latency_ns * 1.001
    assert found.floor_ns and found.floor_ns < latency_ns
    assert sum(layer.share for layer in found.layers) == pytest.approx(found.nodes_ns / latency_ns, rel=1e-3)
    assert found.advice
    product_node = next(layer for layer in found.layers if layer.name == "product")
    assert product_node.moved_bytes == 4 * (64 * 32 + 32 * 24 + 64 * 24)
