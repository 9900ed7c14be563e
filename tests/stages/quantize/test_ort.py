from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edgesft.errors import InputError, StageError
from edgesft.measure.fingerprint import machine
from edgesft.measure.model.facts import read_facts
from edgesft.measure.saturation import saturates
from edgesft.stages.artefact import Artefact
from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize import dynamic, fp16, int4, static
from edgesft.stages.quantize.ort import Calibration, Form, between_convolutions
from edgesft.stages.quantize.verify import verify
from edgesft.train.rounding import rounding
from tests import tiny
from tests.stages.surroundings import TASK, Small, small

REDUCED = saturates(machine())
"""Where products of bytes saturate, answers are only alike with weights of 7 bits."""


def _largest_logit(of: Small, artefact: Artefact) -> float:
    run = file_run({"model": artefact.model})
    return max(float(np.abs(run(r)["logits"]).max()) for r in TASK.requests(of.rows, of.processor))


def test_dynamic_stores_int8_and_answers_alike(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    plan = dynamic(artefact.model, tmp_path / "q.onnx", reduced=REDUCED)
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, TASK.requests(tiny_model.rows, tiny_model.processor))
    products = [name for name in plan.quantized if not name.endswith(".Gather")]
    assert facts["operators"]["MatMulInteger"] == len(products)
    assert facts["operators"]["DynamicQuantizeLinear"] > 0
    assert facts["int8_share"] > 0.8
    assert facts["inputs"]["input_ids"] == ["batch", "sequence"]
    assert 0 < facts["max_abs_difference"] < 0.15 * _largest_logit(tiny_model, artefact)


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_static_stores_int8_and_answers_alike(
    tiny_model: Small, artefact: Artefact, tmp_path: Path, calibration: Calibration
) -> None:
    requests = TASK.requests(tiny_model.rows, tiny_model.processor)
    plan = static(artefact.model, tmp_path / "q.onnx", requests, calibration=calibration, reduced=REDUCED)
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, requests)
    assert facts["operators"]["QuantizeLinear"] > 0
    assert facts["operators"]["DequantizeLinear"] > len(plan.quantized)
    assert facts["int8_share"] > 0.8
    assert facts["inputs"]["input_ids"] == ["batch", "sequence"]
    assert 0 < facts["max_abs_difference"] < 0.3 * _largest_logit(tiny_model, artefact)


def test_static_ranges_follow_the_calibration_rows(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    requests = TASK.requests(tiny_model.rows, tiny_model.processor)
    static(artefact.model, tmp_path / "one.onnx", requests[:1])
    static(artefact.model, tmp_path / "all.onnx", requests)
    assert (tmp_path / "one.onnx").read_bytes() != (tmp_path / "all.onnx").read_bytes()


def test_fp16_halves_weights_and_keeps_inputs(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    plan = fp16(artefact.model, tmp_path / "q.onnx", exclude=("classifier.*",))
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, TASK.requests(tiny_model.rows, tiny_model.processor))
    assert facts["constant_bytes"]["FLOAT16"] > 10 * facts["constant_bytes"]["FLOAT"] > 0
    output = onnx.load(tmp_path / "q.onnx").graph.output[0]
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert 0 < facts["max_abs_difference"] < 0.01 * _largest_logit(tiny_model, artefact)


def test_int4_is_smaller_than_int8_and_answers_alike(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    plan, rows = int4(artefact.model, tmp_path / "q.onnx"), TASK.requests(tiny_model.rows, tiny_model.processor)
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, rows)
    assert facts["operators"]["MatMulNBits"] == len([name for name in plan.quantized if "Gather" not in name])
    dynamic(artefact.model, tmp_path / "d.onnx")
    assert (tmp_path / "q.onnx").stat().st_size < (tmp_path / "d.onnx").stat().st_size
    assert 0 < facts["max_abs_difference"] < 0.6 * _largest_logit(tiny_model, artefact)


def test_tables_in_four_bits_beside_products_in_eight(tmp_path: Path) -> None:
    model = small(tiny.save_bert(tmp_path / "bert", hidden=64))
    artefact, rows = model.export(tmp_path / "onnx"), TASK.requests(model.rows, model.processor)
    plan = dynamic(artefact.model, tmp_path / "q.onnx", table_bits=4, reduced=REDUCED)
    assert 0 < plan.four_bit_bytes < plan.weight_bytes
    facts = verify(tmp_path / "q.onnx", artefact.model, plan, rows)
    assert facts["operators"]["BitShift"] > 0 and facts["operators"]["MatMulInteger"] > 0
    dynamic(artefact.model, tmp_path / "d.onnx")
    fewer, more = (sum(read_facts(tmp_path / name).constant_bytes.values()) for name in ("q.onnx", "d.onnx"))
    assert fewer < more
    assert 0 < facts["max_abs_difference"] < 0.6 * _largest_logit(model, artefact)
    with pytest.raises(StageError, match="must store"):
        verify(tmp_path / "q.onnx", artefact.model, replace(plan, four_bit_bytes=0), rows)


def test_four_bits_found_by_half_quadratic_optimisation(tmp_path: Path) -> None:
    model = small(tiny.save_bert(tmp_path / "bert", hidden=64))
    artefact, rows = model.export(tmp_path / "onnx"), TASK.requests(model.rows, model.processor)
    plan = int4(artefact.model, tmp_path / "hqq.onnx", algorithm="hqq")
    facts = verify(tmp_path / "hqq.onnx", artefact.model, plan, rows)
    assert facts["operators"]["MatMulNBits"] == len([name for name in plan.quantized if "Gather" not in name])
    int4(artefact.model, tmp_path / "rtn.onnx")
    assert (tmp_path / "hqq.onnx").read_bytes() != (tmp_path / "rtn.onnx").read_bytes()
    assert 0 < facts["max_abs_difference"] < 0.6 * _largest_logit(model, artefact)


def test_seven_bits_do_not_saturate(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    rows = TASK.requests(tiny_model.rows, tiny_model.processor)
    for name, make in (("d", partial(dynamic)), ("s", partial(static, requests=rows))):
        plan = make(artefact.model, tmp_path / f"{name}.onnx", reduced=True)
        verify(tmp_path / f"{name}.onnx", artefact.model, plan, rows)
        weights = [
            onnx.numpy_helper.to_array(tensor)
            for tensor in onnx.load(tmp_path / f"{name}.onnx").graph.initializer
            if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 2
        ]
        assert weights and max(int(np.abs(weight.astype(int)).max()) for weight in weights) == 64


def test_excluded_nodes_stay_float(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    exclude = ("classifier.*", "*word_embeddings*")
    dynamic(artefact.model, tmp_path / "d.onnx", exclude=exclude)
    static(artefact.model, tmp_path / "s.onnx", TASK.requests(tiny_model.rows, tiny_model.processor), exclude=exclude)
    for name in ("d.onnx", "s.onnx"):
        floats = {t.name for t in onnx.load(tmp_path / name).graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
        assert {"bert.embeddings.word_embeddings.weight"} <= floats
        assert any(tensor.startswith("classifier.weight") for tensor in floats)
        assert "bert.pooler.dense.weight" not in floats


def test_per_channel_has_a_scale_for_each_channel(artefact: Artefact, tmp_path: Path) -> None:
    dynamic(artefact.model, tmp_path / "channel.onnx", per_channel=True)
    dynamic(artefact.model, tmp_path / "tensor.onnx", per_channel=False)
    assert read_facts(tmp_path / "channel.onnx").parameters > read_facts(tmp_path / "tensor.onnx").parameters


def test_the_same_source_gives_the_same_bytes_and_the_source_folder_stays(
    tiny_model: Small, artefact: Artefact, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {place.name: place.read_bytes() for place in artefact.path.iterdir()}
    requests = TASK.requests(tiny_model.rows, tiny_model.processor)
    for name in ("a", "b"):
        dynamic(artefact.model, tmp_path / name / "d.onnx")
        static(artefact.model, tmp_path / name / "s.onnx", requests)
    for name in ("d.onnx", "s.onnx"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {place.name for place in (tmp_path / "a").iterdir()} == {"d.onnx", "s.onnx"}
    assert {place.name: place.read_bytes() for place in artefact.path.iterdir()} == before
    assert capfd.readouterr() == ("", "")


def _residual(folder: Path) -> Path:
    """A stem, a branch with a sum, and a product with a sum of its own."""
    rng, nodes, weights = np.random.default_rng(0), [], []
    for name, shape in {
        "stem": (8, 3, 3, 3),
        "one": (8, 8, 3, 3),
        "two": (8, 8, 3, 3),
        "last": (8, 4),
        "bias": (4,),
    }.items():
        weights.append(onnx.numpy_helper.from_array(rng.normal(0, 0.2, shape).astype(np.float32), f"{name}.weight"))
    for name, source in (("stem", "x"), ("one", "stem.relu"), ("two", "one.relu")):
        nodes.append(onnx.helper.make_node("Conv", [source, f"{name}.weight"], [name], name, pads=[1, 1, 1, 1]))
        if name != "two":
            nodes.append(onnx.helper.make_node("Relu", [name], [f"{name}.relu"], f"{name}.relu"))
    nodes += [
        onnx.helper.make_node("Add", ["two", "stem.relu"], ["sum"], "sum"),
        onnx.helper.make_node("GlobalAveragePool", ["sum"], ["mean"], "mean"),
        onnx.helper.make_node("Flatten", ["mean"], ["flat"], "flat"),
        onnx.helper.make_node("MatMul", ["flat", "last.weight"], ["product"], "last"),
        onnx.helper.make_node("Add", ["product", "bias.weight"], ["logits"], "bias"),
    ]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", ["batch", 3, 8, 8]), ("logits", ["batch", 4]))
    ]
    graph = onnx.helper.make_graph(nodes, "residual", values[:1], values[1:], weights)
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10),
        folder / "r.onnx",
    )
    return folder / "r.onnx"


def test_sums_between_convolutions_have_eight_bits(tmp_path: Path) -> None:
    source, rng = _residual(tmp_path), np.random.default_rng(1)
    rows = [{"x": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(8)]
    plan = static(source, tmp_path / "q.onnx", rows)
    assert plan.quantized == ("stem", "one", "two", "last")
    assert between_convolutions(onnx.load(source), plan) == ["stem.relu", "one.relu", "sum"]
    producers = {name: node for node in onnx.load(tmp_path / "q.onnx").graph.node for name in node.output}
    told = {
        node.name: [producers[name].op_type for name in node.input if name in producers] for node in producers.values()
    }
    assert told["sum"] == ["DequantizeLinear"] * 2 and told["bias"] == ["MatMul"]
    verify(tmp_path / "q.onnx", source, plan, rows)


@pytest.mark.parametrize("form", ["u8s8", "s8s8", "u8u8", "u16u8"])
def test_what_a_branch_reads_stays_what_it_is(form: Form, tmp_path: Path) -> None:
    """ONNX Runtime's quantizer takes a Relu away whose output it rounds, and leaves the branch what was before it."""
    rng = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32), "stem.weight"),
        onnx.numpy_helper.from_array(np.asarray(True), "always"),
    ]
    inner = onnx.helper.make_tensor_value_info("taken", onnx.TensorProto.FLOAT, None)
    branch = onnx.helper.make_graph([onnx.helper.make_node("Abs", ["stem.relu"], ["taken"])], "b", [], [inner])
    nodes = [
        onnx.helper.make_node("Conv", ["x", "stem.weight"], ["stem"], "stem"),
        onnx.helper.make_node("Relu", ["stem"], ["stem.relu"], "stem.relu"),
        onnx.helper.make_node("If", ["always"], ["logits"], "branch", then_branch=branch, else_branch=branch),
    ]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", channels, size, size])
        for name, channels, size in (("x", 3, 8), ("logits", 8, 6))
    ]
    graph = onnx.helper.make_graph(nodes, "branched", values[:1], values[1:], weights)
    source = tmp_path / "b.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), source)
    rows = [{"x": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(8)]
    static(source, tmp_path / "q.onnx", rows, form=form, reduced=REDUCED)
    run, float_run = file_run({"model": tmp_path / "q.onnx"}), file_run({"model": source})
    for row in rows:
        expected = float_run(row)["logits"]
        assert np.abs(run(row)["logits"] - expected).max() < 0.1 * expected.max()


@pytest.mark.parametrize("learned", [False, True], ids=["seen", "learned"])
def test_the_runtime_makes_integer_products_of_it(
    learned: bool, tiny_model: Small, artefact: Artefact, tmp_path: Path
) -> None:
    ranges = {name: [-2.0, 2.0] for name in rounding(tiny_model.model)} if learned else {}
    rows = TASK.requests(tiny_model.rows, tiny_model.processor)
    plan = static(artefact.model, tmp_path / "q.onnx", rows, ranges=ranges)
    found = _as_run(tmp_path / "q.onnx")
    products = [name for name in plan.quantized if not name.endswith(".Gather")]
    assert sum(found.get(name, 0) for name in ("MatMulIntegerToFloat", "QGemm", "QLinearMatMul")) == len(products)


def test_the_runtime_makes_integer_convolutions_of_it(tmp_path: Path) -> None:
    rows = [{"x": np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)}]
    static(_residual(tmp_path), tmp_path / "q.onnx", rows)
    found = _as_run(tmp_path / "q.onnx")
    assert found["QLinearConv"] == 3 and found["QLinearAdd"] == 1 and not {"Conv", "Relu"} & set(found)


def _as_run(file: Path) -> dict[str, int]:
    """Operators that ONNX Runtime has once it has optimised a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(file.with_name("run.onnx")), 3
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return dict(Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node))


def _spoilt(request: dict[str, np.ndarray], how: str) -> dict[str, np.ndarray]:
    found = {name: np.array(values) for name, values in request.items()}
    if how == "lacking":
        del found["attention_mask"]
    elif how == "shape":
        found["input_ids"] = found["input_ids"][0]
    elif how == "type":
        found["input_ids"] = found["input_ids"].astype(np.int32)
    return found


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("lacking", "request 1 must have the model's input 'attention_mask'. Got: input_ids"),
        ("shape", r"'input_ids' of request 1 must have the shape \['batch', 'sequence'\]. Got: \[\d+\]"),
        ("type", "'input_ids' of request 1 must be int64. Got: int32"),
    ],
)
def test_requests_that_the_model_cannot_read(
    how: str, said: str, tiny_model: Small, artefact: Artefact, tmp_path: Path
) -> None:
    first, second = TASK.requests(tiny_model.rows[:2], tiny_model.processor)
    with pytest.raises(InputError, match=f"calibration: {said}"):
        static(artefact.model, tmp_path / "q.onnx", [first, _spoilt(second, how)])
    assert not (tmp_path / "q.onnx").exists()


def test_numbers_that_are_none(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((8, 8), np.float32), "weight")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", 8]) for name in ("x", "y")]
    node = onnx.helper.make_node("MatMul", ["x", "weight"], ["y"], name="product")
    graph = onnx.helper.make_graph([node], "graph", values[:1], values[1:], [weight])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), tmp_path / "m.onnx")
    good = {"x": np.ones((1, 8), np.float32)}
    with pytest.raises(InputError, match="'x' of request 1 must hold numbers. Got: NaN"):
        static(tmp_path / "m.onnx", tmp_path / "q.onnx", [good, {"x": good["x"] * np.nan}])
    with pytest.raises(StageError, match="finite ranges in the calibration rows. Got no number for 'x_scale'"):
        static(tmp_path / "m.onnx", tmp_path / "q.onnx", [good, {"x": good["x"] * np.inf}])
    assert not (tmp_path / "q.onnx").exists()
