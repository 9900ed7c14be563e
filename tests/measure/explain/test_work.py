from __future__ import annotations

from typing import Any

import pytest

from edgesft.measure.explain.work import Work, with_weights, work


def node(op: str, inputs: list[Any], outputs: list[Any], name: str = "n", dtype: str = "float") -> dict[str, Any]:
    """A profile's node; inputs and outputs are shapes, or `(type, shape)`."""

    def described(tensors: list[Any]) -> list[Any]:
        return [[dtype, each] if isinstance(each, list) else [each[0], each[1]] for each in tensors]

    ends = {"inputs": described(inputs), "outputs": described(outputs)}
    return {"name": name, "op": op, "provider": "CPUExecutionProvider", "calls": 1, "ns": 1000, **ends}


PRODUCTS = {
    "matrices": (node("MatMul", [[1, 5, 32], [32, 24]], [[1, 5, 24]]), 5 * 32 * 24),
    "packed right side": (node("MatMul", [[1, 5, 32]], [[1, 5, 24]]), 5 * 32 * 24),
    "a batch on the right only": (node("MatMul", [[5, 32], [3, 32, 24]], [[3, 5, 24]]), 3 * 5 * 32 * 24),
    "a vector": (node("MatMul", [[2, 5, 32], [32]], [[2, 5]]), 2 * 5 * 32),
    "gemm": (node("Gemm", [[5, 32], [24]], [[5, 24]]), 5 * 32 * 24),
    "gemm, left side transposed": (node("FusedGemm", [[32, 5], [24]], [[5, 24]]), 5 * 32 * 24),
    "heads, keys transposed": (
        node("FusedMatMul", [[1, 12, 64, 32], [1, 12, 40, 32]], [[1, 12, 64, 40]]),
        12 * 64 * 32 * 40,
    ),
    "heads, batch axes transposed": (
        node("FusedMatMul", [[1, 64, 12, 32], [1, 40, 12, 32]], [[1, 12, 64, 40]]),
        12 * 64 * 32 * 40,
    ),
    "blocks of 4 bits": (node("MatMulNBits", [[1, 5, 32], ("uint8", [24, 1, 16]), [24]], [[1, 5, 24]]), 5 * 32 * 24),
    "convolution": (node("Conv", [[1, 8, 20, 20], [16, 8, 3, 3], [16]], [[1, 16, 18, 18]]), 16 * 18 * 18 * 8 * 9),
    "one axis": (node("Conv", [[1, 8, 100], [16, 8, 5]], [[1, 16, 96]]), 16 * 96 * 8 * 5),
    "groups": (node("FusedConv", [[1, 8, 20, 20], [16, 2, 3, 3]], [[1, 16, 18, 18]]), 16 * 18 * 18 * 2 * 9),
    "depthwise": (node("Conv", [[1, 8, 20, 20], [8, 1, 3, 3]], [[1, 8, 18, 18]]), 8 * 18 * 18 * 9),
    "channels last": (node("NhwcFusedConv", [[1, 20, 20, 8], [16, 8, 3, 3]], [[1, 18, 18, 16]]), 16 * 18 * 18 * 8 * 9),
    "padded channels": (node("Conv", [[1, 3, 9, 9], [32, 3, 3, 3], [32]], [[1, 32, 7, 7]]), 32 * 49 * 3 * 9),
    "transposed": (node("ConvTranspose", [[1, 8, 5, 5], [8, 4, 3, 3]], [[1, 4, 11, 11]]), 8 * 25 * 4 * 9),
    "lstm, all steps": (node("LSTM", [[7, 1, 10]], [[7, 1, 1, 6], [1, 1, 6]]), 7 * 4 * 6 * (10 + 6)),
    "lstm, last step": (node("LSTM", [[7, 2, 10]], [[1, 2, 6]]), 7 * 2 * 4 * 6 * (10 + 6)),
    "gru, two directions": (node("GRU", [[7, 1, 10]], [[7, 2, 1, 6]]), 7 * 2 * 3 * 6 * (10 + 6)),
    "attention with projections": (
        node("Attention", [[1, 7, 16], [16, 48], [48]], [[1, 7, 16]]),
        7 * 16 * 48 + 7 * 7 * (16 + 16),
    ),
    "attention, packed": (node("Attention", [[1, 7, 16], [48]], [[1, 7, 16]]), 7 * 16 * 48 + 7 * 7 * 32),
    "attention with a past": (
        node("Attention", [[1, 1, 16], [48], [2, 1, 2, 9, 8]], [[1, 1, 16]]),
        16 * 48 + 10 * 32,
    ),
    "scores alone": (node("Attention", [[1, 7, 16], [1, 9, 16], [1, 9, 16]], [[1, 7, 16]]), 7 * 9 * 32),
    "scores with cached keys": (
        node("MultiHeadAttention", [[1, 1, 16], [1, 1, 16], [1, 1, 16]], [[1, 1, 16], [1, 2, 10, 8], [1, 2, 10, 8]]),
        10 * 32,
    ),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case: str) -> None:
    profiled, macs = PRODUCTS[case]
    assert work(profiled).macs == macs
    assert work(profiled).arithmetic == "fp32"


def test_integers() -> None:
    scale, zero = ("float", []), ("uint8", [])
    convolution = [("uint8", [1, 20, 20, 8]), scale, zero, ("int8", [16, 8, 3, 3]), scale, ("int8", []), scale, zero]
    found = work(node("QLinearConv", convolution, [("uint8", [1, 18, 18, 16])]))
    assert (found.macs, found.arithmetic, found.form) == (16 * 18 * 18 * 8 * 9, "int8", "weights")
    product = [("uint8", [5, 32]), scale, zero, ("int8", [32, 24]), scale, ("int8", []), scale, zero]
    assert work(node("QLinearMatMul", product, [("uint8", [5, 24])])).macs == 5 * 32 * 24
    gemm = [("uint8", [5, 32]), scale, zero, ("int8", [24, 32]), scale, ("int8", []), ("int32", [24]), scale, zero]
    assert work(node("QGemm", gemm, [("uint8", [5, 24])])).macs == 5 * 32 * 24
    for op in ("MatMulInteger", "MatMulIntegerToFloat"):
        found = work(node(op, [("uint8", [5, 32]), ("int8", [32, 24])], [("int32", [5, 24])]))
        assert (found.macs, found.arithmetic) == (5 * 32 * 24, "int8")
    found = work(node("ConvInteger", [("uint8", [1, 8, 9, 9]), ("uint8", [4, 8, 3, 3])], [("int32", [1, 4, 7, 7])]))
    assert (found.macs, found.arithmetic) == (4 * 49 * 8 * 9, "int8")


def test_an_operator_that_quantises_its_own_input_multiplies_integers() -> None:
    found = work(node("DynamicQuantizeMatMul", [[1, 5, 32], ("int8", [32, 24]), [24]], [[1, 5, 24]]))
    assert found == Work(5 * 32 * 24, 4 * (5 * 32 + 24 + 5 * 24) + 32 * 24, "int8", "weights")
    assert work(node("DynamicQuantizeLSTM", [[7, 1, 10]], [[1, 1, 6]])).arithmetic == "int8"


def test_half_precision_is_its_own_arithmetic() -> None:
    found = work(node("MatMul", [[5, 32], [32, 24]], [[5, 24]], dtype="float16"))
    assert (found.arithmetic, found.moved_bytes) == ("fp16", 2 * (5 * 32 + 32 * 24 + 5 * 24))
    assert work(node("MatMul", [[5, 32], [32, 24]], [[5, 24]], dtype="double")).arithmetic is None


def test_what_is_multiplied_with_what() -> None:
    forms = {case: work(PRODUCTS[case][0]).form for case in PRODUCTS}
    assert forms["depthwise"] == "depthwise" and forms["groups"] == forms["convolution"] == "weights"
    assert forms["matrices"] == forms["packed right side"] == forms["lstm, all steps"] == "weights"
    assert forms["heads, keys transposed"] == forms["scores with cached keys"] == "activations"
    # One input channel makes a plain convolution of what looks like a depthwise one.
    assert work(node("Conv", [[1, 1, 400], [64, 1, 16]], [[1, 64, 385]])).form == "weights"
    last = node("NhwcConv", [[1, 20, 20, 8], [8, 1, 3, 3]], [[1, 18, 18, 8]])
    assert work(last).form == "depthwise"


def test_nothing_is_guessed() -> None:
    packed = [("uint8", [1, 20, 20, 8]), ("float", []), ("uint8", []), ("int32", [16])]
    assert work(node("QLinearConv", packed, [("uint8", [1, 18, 18, 16])])).macs is None
    # A fused convolution whose weight is packed away still lists its summand, which is no weight.
    assert work(node("FusedConv", [[1, 8, 20, 20], [16], [1, 16, 18, 18]], [[1, 16, 18, 18]])).macs is None
    assert work(node("ConvTranspose", [[1, 8, 5, 5]], [[1, 4, 11, 11]])).macs is None
    assert work(node("Einsum", [[5, 6], [6, 7]], [[5, 7]])) == Work(None, 4 * (30 + 42 + 35), None, None)
    assert work(node("MatMul", [], [])) == Work(None, None, None, None)
    assert work(node("Gather", [("string", [3])], [("string", [1])])).moved_bytes is None


def test_packed_weights_come_back() -> None:
    packed = node("QLinearConv", [("uint8", [1, 20, 20, 8]), ("float", [])], [("uint8", [1, 18, 18, 16])], "conv")
    whole = packed | {"inputs": [packed["inputs"][0], ["int8", [16, 8, 3, 3]], ["float", []]], "ns": 9}
    found = with_weights({"run_ns": [5], "nodes": [packed]}, {"run_ns": [7], "nodes": [whole]})
    assert found["run_ns"] == [5] and found["nodes"][0]["ns"] == 1000
    assert work(found["nodes"][0]).macs == 16 * 18 * 18 * 8 * 9


def test_renumbered_nodes_keep_what_they_have_if_no_name_is_left() -> None:
    def made(names: list[str], inputs: list[Any]) -> dict[str, Any]:
        return {"run_ns": [1], "nodes": [node("MatMul", inputs, [[5, 24]], name) for name in names]}

    whole = [[5, 32], [32, 24]]
    names = ["a_token_1", "b_token_2", "b_token_3"]
    found = with_weights(made(names, [[5, 32]]), made(["a_token_9", "b_token_3", "b_token_4"], whole))
    assert [len(each["inputs"]) for each in found["nodes"]] == [2, 1, 1]
    found = with_weights(made(names, [[5, 32]]), made(names, whole))
    assert [len(each["inputs"]) for each in found["nodes"]] == [2, 2, 2]
    # Inputs that do not hold the ones that are known belong to another node.
    found = with_weights(made(["a"], [[5, 33]]), made(["a"], whole))
    assert found["nodes"][0]["inputs"] == [["float", [5, 33]]]
