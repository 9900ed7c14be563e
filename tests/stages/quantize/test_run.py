"""The stage as the pipeline calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from edgesft.errors import InputError, StageError
from edgesft.measure.model.facts import read_facts
from edgesft.spec.profile import ProviderSpec
from edgesft.spec.stages import QuantizeSpec
from edgesft.stages import quantize
from edgesft.stages.artefact import RANGES, Artefact
from edgesft.stages.quantize.candidates import CANDIDATES, wanted
from tests.measure.models import profile
from tests.stages.surroundings import Small, context


def _spec(**values: object) -> QuantizeSpec:
    return QuantizeSpec(stage="quantize", **values)


class Fakes:
    """Latencies and metrics by candidate, counting how often they are asked for."""

    def __init__(self, p50: dict[str, int], accuracy: dict[str, float]) -> None:
        self.p50, self.accuracy = p50, accuracy
        self.asked: list[str] = []

    def name(self, path: Path) -> str:
        return path.parent.name if "candidates" in path.parts else "source"

    def latency(self, paths: Sequence[Path]) -> list[int]:
        self.asked.append("latency")
        return [self.p50[self.name(path)] for path in paths]

    def evaluate(self, path: Path) -> dict[str, float]:
        assert path.is_file()
        self.asked.append(self.name(path))
        return {"accuracy": self.accuracy[self.name(path)], "f1_macro": 0.5}


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """neural-compressor stays out: it has a test of its own, and it takes its time."""
    kept = tuple(candidate for candidate in CANDIDATES if candidate.backend == "onnxruntime")
    monkeypatch.setattr("edgesft.stages.quantize.candidates.CANDIDATES", kept)
    return Fakes(
        {
            "source": 100,
            "int8-dynamic": 40,
            "int8-static": 30,
            "int8-static-smooth": 31,
            "int8-weights": 100,
            "fp16": 90,
        },
        {
            "source": 0.9,
            "int8-dynamic": 0.895,
            "int8-static": 0.85,
            "int8-static-smooth": 0.84,
            "int8-weights": 0.84,
            "fp16": 0.9,
        },
    )


@pytest.fixture
def alone(artefact: Artefact) -> Artefact:
    """Without the torch model, by which it is found what suffers from int8."""
    return replace(artefact, origin=None)


def test_one_scheme_fills_the_folder(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    report = quantize.run(_spec(scheme="int8-dynamic"), artefact, tmp_path / "out", context(tmp_path, tiny_model))
    names = {place.name for place in (tmp_path / "out").iterdir()}
    assert names == {place.name for place in artefact.path.iterdir()}
    assert read_facts(tmp_path / "out" / "model.onnx").int8_share > 0.8
    assert (tmp_path / "out" / "contract.json").read_bytes() == (artefact.path / "contract.json").read_bytes()
    row = report.details["candidates"][0]
    assert row["plan"]["quantized"]
    assert row["size_bytes"] < artefact.model.stat().st_size
    assert report.summary.startswith("int8-dynamic: ")


def test_a_pattern_that_matches_nothing_is_the_users_error(
    tiny_model: Small, artefact: Artefact, tmp_path: Path
) -> None:
    for scheme in ("auto", "int8-dynamic"):
        with pytest.raises(InputError, match="exclude"):
            quantize.run(
                _spec(scheme=scheme, exclude=["nothing*"]), artefact, tmp_path / "out", context(tmp_path, tiny_model)
            )


def test_auto_takes_the_fastest_within_the_allowance_and_replays(
    tiny_model: Small, alone: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    surroundings = context(
        tmp_path / "work",
        tiny_model,
        latency=fakes.latency,
        evaluate=fakes.evaluate,
        allowance=0.01,
        precisions=("fp32", "fp16", "int8"),
    )
    report = quantize.run(_spec(), alone, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-dynamic"
    verdicts = {row["name"]: row["verdict"] for row in report.details["candidates"]}
    assert verdicts["int8-dynamic"].startswith("kept: fastest")
    assert "drops 0.0500" in verdicts["int8-static"]
    assert verdicts["fp16"] == "slower than int8-dynamic"
    assert read_facts(tmp_path / "out" / "model.onnx").operators["MatMulInteger"] > 0
    json.dumps(report.details)
    assert sorted(fakes.asked) == ["fp16", "int8-dynamic", "int8-static", "int8-weights", "latency", "source"]

    resumed = quantize.run(
        _spec(),
        alone,
        tmp_path / "again",
        context(tmp_path / "work", tiny_model, precisions=("fp32", "fp16", "int8")),
    )
    assert resumed == report
    assert (tmp_path / "again" / "model.onnx").read_bytes() == (tmp_path / "out" / "model.onnx").read_bytes()


def test_a_run_killed_while_timing_asks_only_for_what_is_missing(
    tiny_model: Small, alone: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    def killed(paths: Sequence[Path]) -> list[int]:
        raise KeyboardInterrupt

    first = context(tmp_path / "work", tiny_model, latency=killed, evaluate=fakes.evaluate)
    with pytest.raises(KeyboardInterrupt):
        quantize.run(_spec(), alone, tmp_path / "out", first)
    assert sorted(fakes.asked) == ["int8-dynamic", "int8-static", "int8-weights"]
    fakes.asked.clear()
    second = context(tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    quantize.run(_spec(), alone, tmp_path / "out", second)
    assert fakes.asked == ["latency", "source"]


def test_drops_count_against_the_reference(tiny_model: Small, alone: Artefact, tmp_path: Path, fakes: Fakes) -> None:
    reference = Artefact("onnx", tmp_path / "reference", "key")
    reference.path.mkdir()
    reference.model.write_bytes(b"never opened here")
    answers = {reference.model: 0.95}

    surroundings = context(
        tmp_path / "work",
        tiny_model,
        latency=fakes.latency,
        evaluate=lambda path: {"accuracy": answers[path]} if path in answers else fakes.evaluate(path),
        reference=reference,
        allowance=0.06,
    )
    report = quantize.run(_spec(), alone, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-dynamic"
    assert "source" not in fakes.asked
    assert {row["name"]: round(row["drop"], 3) for row in report.details["candidates"] if "drop" in row} == {
        "int8-dynamic": 0.055,
        "int8-static": 0.1,
        "int8-weights": 0.11,
    }


def test_nothing_within_the_allowance_is_said(tiny_model: Small, alone: Artefact, tmp_path: Path, fakes: Fakes) -> None:
    surroundings = context(
        tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate, allowance=0.001
    )
    report = quantize.run(_spec(), alone, tmp_path / "out", surroundings)
    assert (report.details["chosen"], report.details["qualified"]) == ("int8-dynamic", False)
    assert "no candidate is within it" in report.summary


def test_a_candidate_that_fails_is_a_row_not_the_end(
    tiny_model: Small, alone: Artefact, tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr("edgesft.stages.quantize.ort.dynamic", broken)
    surroundings = context(tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), alone, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-static"
    assert report.details["candidates"][0]["verdict"] == "failed: RuntimeError: no such kernel"

    monkeypatch.setattr("edgesft.stages.quantize.ort.static", broken)
    monkeypatch.setattr("edgesft.stages.quantize.ort.weights", broken)
    surroundings = context(tmp_path / "other", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), alone, tmp_path / "none", surroundings)
    assert report.summary.startswith("nothing: no candidate works here: int8-dynamic: RuntimeError")
    assert (tmp_path / "none/model.onnx").read_bytes() == alone.model.read_bytes()


def test_where_nothing_can_be_timed_bytes_are_no_arithmetic(
    tiny_model: Small, alone: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.accuracy |= {"int8-static": 0.9, "int8-weights": 0.9}
    surroundings = context(tmp_path / "work", tiny_model, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), alone, tmp_path / "out", replace(surroundings, untimed="a simulator"))
    assert report.details["chosen"] in ("int8-static", "int8-dynamic")
    fakes.accuracy |= {"int8-static": 0.5, "int8-dynamic": 0.5, "int8-static-smooth": 0.5}
    surroundings = context(tmp_path / "other", tiny_model, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), alone, tmp_path / "out", replace(surroundings, untimed="a simulator"))
    assert report.details["chosen"] == "int8-weights"


def test_neural_compressor_needs_the_torch_model(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    orphan = Artefact("onnx", artefact.path, "key")
    with pytest.raises(StageError, match="torch model"):
        quantize.run(
            _spec(scheme="int8-static", backend="neural-compressor"),
            orphan,
            tmp_path / "out",
            context(tmp_path, tiny_model),
        )


@pytest.mark.parametrize("types", ["auto", "u8s8", "s8s8", "u8u8", "u16u8"])
def test_a_recipe_names_the_types(types: str, tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    spec, out = _spec(scheme="int8-static", types=types), tmp_path / "out"
    report = quantize.run(spec, artefact, out, context(tmp_path / "work", tiny_model))
    form = "u8s8" if types == "auto" else types
    assert report.details["chosen"] == ("int8-static" if form == "u8s8" else f"int8-static-{form}")
    assert report.details["candidates"][0]["plan"]["per_channel"] is (form in ("u8s8", "s8s8"))
    graph = onnx.load(out / "model.onnx").graph
    kinds = {tensor.name: onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in graph.initializer}
    made = {kinds.get(node.input[2]) for node in graph.node if node.op_type == "QuantizeLinear"}
    assert made == {{"u8": "UINT8", "s8": "INT8", "u16": "UINT16"}[form[:-2]]}


def test_types_that_are_named_go_before_those_of_the_provider() -> None:
    qnn = profile(precisions=("int8",), providers=[ProviderSpec(name="QNNExecutionProvider")])
    found = [wanted(_spec(scheme="int8-static", types=each), qnn)[0].form for each in ("auto", "u16u8", "u8s8")]
    assert found == ["u8u8", "u16u8", "u8s8"]


def test_the_profile_says_what_auto_may_try() -> None:
    assert {candidate.name for candidate in wanted(_spec(), profile(precisions=("fp32", "int8")))} == {
        "int8-dynamic",
        "int8-static",
        "int8-static-neural-compressor",
        "int8-weights",
    }
    assert [candidate.name for candidate in wanted(_spec(), profile(precisions=("fp32",)))] == ["int8-weights"]
    assert {candidate.name for candidate in wanted(_spec(), profile(precisions=("int8", "int4")))} > {
        "int4-hqq",
        "int8-dynamic-4-bit-tables",
    }
    assert [candidate.name for candidate in wanted(_spec(), profile(precisions=("fp16",)))] == ["fp16"]
    assert [candidate.name for candidate in wanted(_spec(scheme="fp16"), profile(precisions=("int8",)))] == ["fp16"]


@pytest.fixture
def uneven(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> Artefact:
    """With values that are hard to round: a channel behind each normalisation is far larger than the others."""
    folder = tmp_path / "uneven"
    shutil.copytree(artefact.path, folder)
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("LayerNorm.weight"):
            array = numpy_helper.to_array(tensor).copy()
            array[5] *= 50
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, folder / "model.onnx")
    return replace(artefact, path=folder)


def test_what_int8_spoils_most_stays_in_float(
    tiny_model: Small, artefact: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.p50 |= {"int8-static-1-float": 32, "int8-static-2-float": 35}
    fakes.accuracy |= {"int8-static-1-float": 0.88, "int8-static-2-float": 0.891}
    surroundings = context(tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), artefact, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-static-2-float"
    rows = {row["name"]: row for row in report.details["candidates"]}
    tried = ["int8-static-smooth", "int8-static-1-float", "int8-static-2-float"]
    assert list(rows) == ["int8-dynamic", "int8-static", "int8-weights", *tried]
    left = set(rows["int8-static"]["plan"]["quantized"]) - set(rows["int8-static-2-float"]["plan"]["quantized"])
    assert len(left) == 2 and left > set(rows["int8-static-1-float"]["plan"]["excluded"]).intersection(left)
    assert quantize.run(_spec(), artefact, tmp_path / "out", context(tmp_path / "work", tiny_model)) == report


def test_what_smoothing_rescues_stays_in_int8(
    tiny_model: Small, uneven: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.accuracy["int8-static-smooth"] = 0.891
    surroundings = context(tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), uneven, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-static-smooth"
    rows = {row["name"]: row for row in report.details["candidates"]}
    assert list(rows) == ["int8-dynamic", "int8-static", "int8-weights", "int8-static-smooth"]
    assert rows["int8-static-smooth"]["plan"]["quantized"] == rows["int8-static"]["plan"]["quantized"]
    assert [place.name for place in (tmp_path / "out").iterdir() if place.suffix == ".onnx"] == ["model.onnx"]


def test_mixtures_start_from_the_smoothed_one_if_it_drops_less(
    tiny_model: Small, uneven: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.accuracy |= {"int8-static-smooth": 0.86, "int8-static-smooth-1-float": 0.895}
    fakes.p50["int8-static-smooth-1-float"] = 31
    surroundings = context(tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), uneven, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-static-smooth-1-float"


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-static"])
def test_smoothing_that_is_asked_for(scheme: str, tiny_model: Small, uneven: Artefact, tmp_path: Path) -> None:
    report = quantize.run(
        _spec(scheme=scheme, smooth=0.5), uneven, tmp_path / "out", context(tmp_path / "work", tiny_model)
    )
    assert report.details["chosen"] == f"{scheme}-smooth"
    with pytest.raises(ValueError, match="must not set 'smooth'"):
        _spec(scheme="int4", smooth=0.5)


def test_half_of_the_layers_in_float_is_the_most(
    tiny_model: Small, artefact: Artefact, tmp_path: Path, fakes: Fakes
) -> None:
    tried = [f"int8-static-{count}-float" for count in (1, 2, 4, 8, 16)]
    fakes.p50 |= dict.fromkeys(tried, 31)
    fakes.accuracy |= dict.fromkeys(tried, 0.5)
    surroundings = context(tmp_path / "work", tiny_model, latency=fakes.latency, evaluate=fakes.evaluate)
    report = quantize.run(_spec(), artefact, tmp_path / "out", surroundings)
    assert report.details["chosen"] == "int8-dynamic"
    rows = {row["name"]: row["verdict"] for row in report.details["candidates"]}
    assert "int8-static-4-float" in rows and "int8-static-16-float" not in rows
    assert rows["int8-static-4-float"] == "drops 0.4000, allowance 0.0100; not timed"


def test_static_ranges_are_those_that_were_learned(tiny_model: Small, artefact: Artefact, tmp_path: Path) -> None:
    origin = tiny_model.save(tmp_path / "torch")
    (origin.path / RANGES).write_text('{"classifier": [-12.75, 12.75]}')
    static, surroundings = _spec(scheme="int8-static"), context(tmp_path / "work", tiny_model)
    quantize.run(static, replace(artefact, origin=origin), tmp_path / "out", surroundings)
    model = onnx.load(tmp_path / "out/model.onnx")
    scales = [onnx.numpy_helper.to_array(each) for each in model.graph.initializer if each.name.endswith("_scale")]
    assert any(scale.size == 1 and float(scale) == pytest.approx(0.1) for scale in scales)
