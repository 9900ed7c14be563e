from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgesft.errors import StageError
from edgesft.measure.model.facts import read_facts
from edgesft.spec.stages import ExportSpec
from edgesft.stages import export
from edgesft.stages.export import checks
from edgesft.stages.export.graph import convert, modules_of, save
from edgesft.stages.optimize.products import joined
from edgesft.tasks.base import Graph
from tests.stages.surroundings import CONTRACT, TASK, Small, context, small


@pytest.fixture(scope="module")
def tiny_model(bert: Path) -> Small:
    return small(bert)


@pytest.fixture(scope="module")
def exported(tiny_model: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.export(tmp_path_factory.mktemp("export") / "out").path


def test_the_folder_holds_what_a_device_needs(exported: Path) -> None:
    names = {place.name for place in exported.iterdir()}
    assert names == {"model.onnx", "tokenizer.json", "tokenizer_config.json", "contract.json"}
    assert json.loads((exported / "contract.json").read_text())["labels"] == list(CONTRACT.labels)


def test_axes_inputs_and_opset_are_as_asked(exported: Path, tiny_model: Small) -> None:
    facts = checks.check_file(exported / "model.onnx", tiny_model.graph(), 20)
    assert next(iter(facts.inputs.items())) == ("input_ids", ("batch", "sequence"))
    assert set(facts.inputs.values()) == {("batch", "sequence")}
    assert facts.outputs == {"logits": ("batch", 2)}
    symbols = {
        axis.dim_param
        for value in onnx.load(exported / "model.onnx").graph.value_info
        for axis in value.type.tensor_type.shape.dim
    }
    assert not {symbol for symbol in symbols if re.search(r"\bs\d+\b", symbol)}
    assert {"batch", "sequence"} <= symbols


def test_nodes_say_which_modules_they_are_of() -> None:
    assert modules_of("classifier.Gemm") == ["classifier"]
    assert modules_of("layer.0.self.query+key.MatMul_2") == ["layer.0.self.query", "layer.0.self.key"]
    assert joined(["a.b.MatMul", "a.c.MatMul"]) == "a.b+c.MatMul" and joined(["a.b.MatMul", "d"]) == "a.b.MatMul"


def test_nodes_are_named_after_modules_and_traces_are_gone(exported: Path) -> None:
    model = onnx.load(exported / "model.onnx")
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert {"bert.encoder.layer.1.attention.self.query.MatMul", "classifier.Gemm"} <= set(names)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    content = (exported / "model.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path(torch.__file__).parent).encode() not in content


@pytest.mark.parametrize("opset", [17, 21])
def test_other_opsets(tiny_model: Small, tmp_path: Path, opset: int) -> None:
    graph = tiny_model.graph()
    save(convert(graph, opset=opset), tmp_path / "model.onnx")
    checks.check_file(tmp_path / "model.onnx", graph, opset)
    found = checks.parity({"model": tmp_path / "model.onnx"}, [graph], TASK, tiny_model.processor, tiny_model.rows)
    assert found.difference < 1e-4


def test_the_same_weights_give_the_same_bytes(exported: Path, tiny_model: Small, tmp_path: Path) -> None:
    again = tiny_model.export(tmp_path / "again").path
    for place in exported.iterdir():
        assert (again / place.name).read_bytes() == place.read_bytes(), place.name


def test_export_is_silent_and_leaves_the_model_alone(
    tiny_model: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model.model
    model.set_attn_implementation("sdpa")
    model.train()
    before = {name: set(vars(part)) for name, part in model.named_modules()}
    try:
        tiny_model.export(tmp_path / "out")
        assert model.training
        assert {name: set(vars(part)) for name, part in model.named_modules()} == before
        assert model.config._attn_implementation == "sdpa"
    finally:
        model.set_attn_implementation("eager")
        model.eval()
    assert capfd.readouterr() == ("", "")


def test_run_reports_and_proves_parity(tiny_model: Small, tmp_path: Path) -> None:
    artefact = tiny_model.save(tmp_path / "torch")
    report = export.run(
        ExportSpec(stage="export"), artefact, tmp_path / "out", context(tmp_path / "work", tiny_model, opset=18)
    )
    assert report.details["parity"]["max_abs_difference"] < 1e-4
    assert report.details["parity"]["rows"] == len(tiny_model.rows)
    assert report.details["graphs"]["model"]["opset"] == 18
    assert report.details["graphs"]["model"]["constant_bytes"]["FLOAT"] > 0
    json.dumps(report.details)


def test_run_fails_when_the_file_answers_differently(
    tiny_model: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untampered = export.export_onnx

    def tampered(*args: Any, **keywords: Any) -> list[Graph]:
        graphs = untampered(*args, **keywords)
        _change_weight(tmp_path / "out" / "model.onnx")
        return graphs

    monkeypatch.setattr(export, "export_onnx", tampered)
    artefact = tiny_model.save(tmp_path / "torch")
    with pytest.raises(StageError, match=r"within 0\.001 of torch's\. Got \d"):
        export.run(ExportSpec(stage="export"), artefact, tmp_path / "out", context(tmp_path, tiny_model))


def _change_weight(path: Path) -> None:
    model = onnx.load(path)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "classifier.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.1, tensor.name))
    onnx.save(model, path)


def test_a_weight_stored_twice_fails(exported: Path, tiny_model: Small, tmp_path: Path) -> None:
    model = onnx.load(exported / "model.onnx")
    twin = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("word_embeddings.weight"))
    model.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(twin), "twin"))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(StageError, match="stored twice"):
        checks.check_file(tmp_path / "model.onnx", tiny_model.graph(), 20)


def test_weights_of_another_type_fail(exported: Path, tiny_model: Small, tmp_path: Path) -> None:
    model = onnx.load(exported / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("word_embeddings.weight"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(StageError, match=r"FLOAT16|valid ONNX"):
        checks.check_file(tmp_path / "model.onnx", tiny_model.graph(), 20)


def test_a_wrong_opset_or_axis_fails(exported: Path, tiny_model: Small) -> None:
    graph = tiny_model.graph()
    with pytest.raises(StageError, match=r"opset 19\. Got 20"):
        checks.check_file(exported / "model.onnx", graph, 19)
    renamed = dataclasses.replace(graph, dynamic={**graph.dynamic, "input_ids": {0: "rows", 1: "sequence"}})
    with pytest.raises(StageError, match=r"must be 'rows'\. Got 'batch'"):
        checks.check_file(exported / "model.onnx", renamed, 20)


def test_widths_that_differ_by_layer(bert: Path, tmp_path: Path) -> None:
    uneven = small(bert)
    layer = uneven.model.bert.encoder.layer[1]
    for linear in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):
        linear.weight, linear.bias = nn.Parameter(linear.weight[:8]), nn.Parameter(linear.bias[:8])
        linear.out_features = 8
    out = layer.attention.output.dense
    out.weight, out.in_features = nn.Parameter(out.weight[:, :8]), 8
    layer.attention.self.num_attention_heads, layer.attention.self.all_head_size = 1, 8
    graph, folder = uneven.graph(), uneven.export(tmp_path / "out").path
    checks.check_file(folder / "model.onnx", graph, 20)
    found = checks.parity({"model": folder / "model.onnx"}, [graph], TASK, uneven.processor, uneven.rows)
    assert found.difference < 1e-4


class Scaled(nn.Module):
    """A plain module, whose axis `length` varies unless it is tied to a buffer."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 64)
        self.register_buffer("mask", torch.ones(6) if tied else torch.ones(1))

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.linear(x * self.mask[None, :, None]) * scale


def _plain(*, tied: bool) -> Graph:
    inputs = {"x": torch.randn(2, 6, 4), "scale": torch.randn(2, 1, 1)}
    dynamic = {"x": {0: "batch", 1: "length"}, "scale": {0: "batch"}}
    return Graph("model", Scaled(tied=tied), inputs, dynamic, ("scores",))


def test_plain_modules_export_too(tmp_path: Path) -> None:
    graph = _plain(tied=False)
    save(convert(graph, opset=20), tmp_path / "model.onnx")
    facts = checks.check_file(tmp_path / "model.onnx", graph, 20)
    assert facts.inputs == {"x": ("batch", "length", 4), "scale": ("batch", 1, 1)}
    feeds = {"x": np.ones((3, 9, 4), np.float32), "scale": np.ones((3, 1, 1), np.float32)}
    expected = checks.torch_run([graph])(feeds)["scores"]
    assert checks.difference(expected, checks.file_run({"model": tmp_path / "model.onnx"})(feeds)["scores"]) < 1e-5


def test_an_axis_that_cannot_vary_fails() -> None:
    with pytest.raises(StageError, match="could not be exported"):
        convert(_plain(tied=True), opset=20)


def test_beyond_protobufs_limit_weights_lie_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = _plain(tied=False)
    monkeypatch.setattr("edgesft.stages.export.graph.PROTOBUF_LIMIT_BYTES", 8)
    save(convert(graph, opset=20), tmp_path / "model.onnx")
    assert {place.name for place in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    facts = read_facts(tmp_path / "model.onnx")
    assert facts.size_bytes > (tmp_path / "model.onnx").stat().st_size


def test_difference_is_infinite_where_only_one_side_is_finite() -> None:
    one = np.array([1.0, np.inf])
    assert checks.difference(one, np.array([1.5, np.inf])) == 0.5
    assert checks.difference(one, np.array([1.0, 2.0])) == np.inf
    assert checks.difference(one, np.array([np.nan, np.inf])) == np.inf
    assert checks.difference(one, np.array([1.0])) == np.inf


def test_spread_takes_the_extremes() -> None:
    examples = [{"x": np.zeros(size)} for size in (5, 1, 9, 3, 7)]
    assert [len(example["x"]) for example in checks.spread(examples, 3)] == [1, 5, 9]
    assert len(checks.spread(examples, 50)) == 5
