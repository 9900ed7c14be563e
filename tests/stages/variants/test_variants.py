from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesft.errors import InputError, StageError
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.inputs import Requests
from edgesft.measure.model.facts import read_facts
from edgesft.measure.model.file import inspect
from edgesft.measure.model.fixed import fixed
from edgesft.spec.profile import ProviderSpec
from edgesft.stages.export.checks import file_run
from edgesft.stages.export.shapes import fix_shapes, sizes_of
from edgesft.stages.quantize.ort import static
from edgesft.stages.quantize.whole import soften_masks
from edgesft.stages.variants import Variants
from edgesft.store.store import Store
from tests.measure import models
from tests.providers.models import save_encoder, save_net

NAMES = ("CPU", "QNN", "WebGpu", "Tensorrt")
CPU, QNN, WEBGPU, TENSORRT = (ProviderSpec(name=f"{name}ExecutionProvider") for name in NAMES)


@pytest.fixture
def make(tmp_path: Path):
    """The variants of a model for a provider."""

    def run(kind: str, spec: ProviderSpec, *precisions: str):
        model, requests = {"net": save_net, "encoder": save_encoder}[kind](tmp_path / f"{kind}.onnx")
        prepared = Prepared(inspect(model), Requests(tuple(requests), "test"))
        return Variants(Store(tmp_path / "store"), precisions, say=lambda _: None)(prepared, spec)

    return run


def test_a_provider_of_free_axes_gets_the_file_as_it_is(make, tmp_path: Path) -> None:
    (variant,) = make("encoder", CPU)
    assert (variant.file, variant.label, variant.made) == (tmp_path / "encoder.onnx", "", "")


def test_fixed_shapes_are_made_once_and_noted(make) -> None:
    first, second = make("encoder", QNN)[0], make("encoder", QNN)[0]
    assert first.file == second.file and first.made == "fixed at batch 1, sequence 12"
    model = onnx.load(str(first.file))
    assert fixed(model).sizes == {"batch": 1, "sequence": 12}
    # What computed shapes is gone.
    assert "Shape" not in read_facts(first.file).operators and read_facts(first.file).inputs["ids"] == (1, 12)


def test_what_is_captured_as_a_graph_gets_fixed_shapes(make) -> None:
    spec = ProviderSpec(name="CUDAExecutionProvider", options={"enable_cuda_graph": "1"})
    assert [variant.made for variant in make("encoder", spec)] == ["fixed at batch 1, sequence 12"]


@pytest.mark.parametrize(
    ("kind", "spec", "told"),
    [
        ("net", CPU, "int8 u8s8"),
        ("encoder", CPU, "int8 dynamic"),
        ("net", QNN, "int8 u8u8"),
        ("encoder", QNN, "fixed at batch 1, sequence 12, int8 u16u8"),
        ("net", TENSORRT, "int8 s8s8"),
    ],
)
def test_each_provider_gets_its_own_int8(kind: str, spec: ProviderSpec, told: str, make, tmp_path: Path) -> None:
    (variant,) = make(kind, spec, "int8")
    assert (variant.label, variant.made) == ("int8", told)
    source, requests = {"net": save_net, "encoder": save_encoder}[kind](tmp_path / "again.onnx")
    before, after = file_run({"model": source}), file_run({"model": variant.file})
    for feeds in requests[:4]:
        expected, got = before(feeds)["logits"], after(feeds)["logits"]
        assert np.abs(expected - got).max() < 0.2 * np.abs(expected).max()


def test_the_types_are_those_that_the_kernels_take(tmp_path: Path) -> None:
    source, requests = save_net(tmp_path / "net.onnx")
    types = {}
    for form in ("u8s8", "s8s8", "u8u8", "u16u8"):
        static(source, tmp_path / f"{form}.onnx", requests, form=form)
        graph = onnx.load(str(tmp_path / f"{form}.onnx")).graph
        constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
        by_kind = {"activation": set(), "weight": set()}
        for node in graph.node:
            if node.op_type == "QuantizeLinear" and node.input[2] in constants:
                by_kind["activation"].add(constants[node.input[2]])
            if node.op_type == "DequantizeLinear" and node.input[0] in constants:
                by_kind["weight"].add(constants[node.input[0]])
        types[form] = by_kind
    T = onnx.TensorProto
    assert types["u8s8"]["activation"] == {T.UINT8} and T.INT8 in types["u8s8"]["weight"]
    assert types["s8s8"]["activation"] == {T.INT8} and T.INT8 in types["s8s8"]["weight"]
    assert types["u8u8"]["activation"] == {T.UINT8} and T.UINT8 in types["u8u8"]["weight"]
    assert types["u16u8"]["activation"] == {T.UINT16} and T.UINT8 in types["u16u8"]["weight"]


def test_what_a_provider_has_no_kernels_for_is_a_reason(make) -> None:
    four, eight = make("encoder", WEBGPU, "int4", "int8")
    assert four.file is not None and four.made == "int4"
    assert eight.file is None and "int8 for webgpu" in eight.made and "4-bit weights" in eight.made


def test_a_model_in_int8_is_no_source_of_others(tmp_path: Path) -> None:
    source, requests = save_net(tmp_path / "net.onnx")
    static(source, tmp_path / "q.onnx", requests)
    prepared = Prepared(inspect(tmp_path / "q.onnx"), Requests(tuple(requests), "test"))
    (variant,) = Variants(Store(tmp_path / "store"), ["fp16"], say=lambda _: None)(prepared, QNN)
    assert variant.file is None and "a model in fp32 is needed" in variant.made


def test_zeros_that_count_are_found(tmp_path: Path) -> None:
    """A mean over the sequence, without a mask, is another one where it is padded."""
    source = models.save_classifier(tmp_path / "m.onnx")
    requests = [{"ids": np.array([[1, 2, 3]])}, {"ids": np.array([[1, 2, 3, 4, 5]])}]
    assert sizes_of(source, requests) == {"batch": 1, "sequence": 5}
    with pytest.raises(StageError, match="must give the same answers with fixed shapes"):
        fix_shapes(source, tmp_path / "fixed.onnx", {"batch": 1, "sequence": 5}, requests)
    assert not (tmp_path / "fixed.onnx").exists()
    with pytest.raises(InputError, match="at most 4"):
        fix_shapes(source, tmp_path / "fixed.onnx", {"batch": 1, "sequence": 4}, requests[1:])


def test_what_masks_attention_becomes_a_number_that_a_range_can_hold(tmp_path: Path) -> None:
    source, requests = save_encoder(tmp_path / "m.onnx")
    model = onnx.load(str(source))
    soften_masks(model)
    onnx.save(model, str(tmp_path / "soft.onnx"))
    feeds = {**requests[0], "mask": np.array([[1, 1, 0]])}
    before, after = (file_run({"model": tmp_path / name})(feeds)["logits"] for name in ("m.onnx", "soft.onnx"))
    assert np.allclose(before, after, atol=1e-6)
    values = [onnx.numpy_helper.to_array(tensor).min() for tensor in model.graph.initializer if tensor.name == "least"]
    assert values == [-100]


def test_nodes_without_names_and_old_operators_are_quantized_too(make, tmp_path: Path) -> None:
    source, requests = save_net(tmp_path / "old.onnx")
    model = onnx.load(str(source))
    for node in model.graph.node:
        node.name = ""
    del model.opset_import[:]
    model.opset_import.extend([onnx.helper.make_opsetid("", 11)])
    model.ir_version = 6
    onnx.save(model, str(source))
    prepared = Prepared(inspect(source), Requests(tuple(requests), "test"))
    for spec, form in ((CPU, "int8 u8s8"), (QNN, "int8 u8u8")):
        (variant,) = Variants(Store(tmp_path / "store"), ["int8"], say=lambda _: None)(prepared, spec)
        assert variant.file is not None, variant.made
        assert variant.made == form and read_facts(variant.file).operators["QuantizeLinear"]


def test_a_tool_that_fails_is_a_reason(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*unused: object, **more: object) -> None:
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr("edgesft.stages.quantize.ort.static", fail)
    (variant,) = make("net", QNN, "int8")
    assert variant.file is None and "int8 for qnn: ValueError: operands" in variant.made
