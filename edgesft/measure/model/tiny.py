"""A model of one product, with which a provider is tried before anything is made for it."""

from __future__ import annotations

import numpy as np

WIDTH = 8


def tiny_model() -> bytes:
    """An ONNX file of one product, `y = x w` with x of shape [1, 8]."""
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, WIDTH]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.eye(WIDTH, dtype=np.float32), "w")],
    )
    # Old enough for every runtime that has the providers asked for.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
