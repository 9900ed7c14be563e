from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.errors import InputError, StageError
from edgesft.stages.artefact import Artefact
from edgesft.stages.quantize.plan import QuantizePlan, by_graph, make_plan


def test_says_what_is_quantized_and_why_the_rest_is_not(artefact: Artefact) -> None:
    plan = make_plan(artefact.model, "int8-dynamic")
    assert "bert.encoder.layer.0.attention.self.query.MatMul" in plan.quantized
    assert "bert.embeddings.word_embeddings.Gather" in plan.quantized
    assert plan.excluded["bert.encoder.layer.0.attention.self.MatMul"] == "product of activations"
    weights = {t.name: t for t in onnx.load(artefact.model).graph.initializer if t.data_type == 1 and len(t.dims) == 2}
    assert plan.weight_bytes == sum(4 * int(np.prod(tensor.dims)) for tensor in weights.values())


def test_round_trip_through_json(artefact: Artefact) -> None:
    plan = make_plan(artefact.model, "int8-static", exclude=("classifier.*",))
    assert QuantizePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_excluded_nodes_say_by_which_pattern(artefact: Artefact) -> None:
    plan = make_plan(artefact.model, "int8-static", exclude=("classifier.*", "*layer.0.*"))
    assert plan.excluded["classifier.Gemm"] == "exclude pattern 'classifier.*'"
    assert not any("layer.0." in name or name.startswith("classifier") for name in plan.quantized)


def test_each_pattern_must_match(artefact: Artefact) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(artefact.model, "int8-dynamic", exclude=("*layer.1.*", "clasifier.Gem", "*nothing*"))
    assert len(caught.value.problems) == 2
    assert "classifier.Gemm" in str(caught.value.problems[0].hint)


def _one(path: Path, node: onnx.NodeProto, shape: tuple[int, ...]) -> Path:
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(shape, np.float32), "w")],
    )
    onnx.save(helper.make_model(graph), path)
    return path


def test_dynamic_leaves_convolutions_alone(tmp_path: Path) -> None:
    place = _one(tmp_path / "conv.onnx", helper.make_node("Conv", ["x", "w"], ["y"], "conv"), (2, 3, 3, 3))
    assert make_plan(place, "int8-static").quantized == ("conv",)
    with pytest.raises(StageError, match="does not cover Conv"):
        make_plan(place, "int8-dynamic")


def test_a_scaled_gemm_stays(tmp_path: Path) -> None:
    place = _one(tmp_path / "gemm.onnx", helper.make_node("Gemm", ["x", "w"], ["y"], "gemm", alpha=0.5), (4, 4))
    with pytest.raises(StageError, match="alpha"):
        make_plan(place, "int8-dynamic")
    assert make_plan(place, "fp16").quantized == ("gemm",)


def test_a_pattern_may_be_of_one_of_several_graphs(artefact: Artefact, put: Path) -> None:
    files = {"encoder": put / "encoder.onnx", "model": put / "model.onnx"}
    found = by_graph(("encoder.*", "lm_head.*", "*EncDecAttention.*"), files)
    assert found == {"encoder": ("encoder.*", "*EncDecAttention.*"), "model": ("lm_head.*", "*EncDecAttention.*")}
    with pytest.raises(InputError, match="must match a node"):
        by_graph(("nothing.*",), files)
