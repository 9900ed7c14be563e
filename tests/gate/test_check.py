"""What a check says of an artefact: counted lines without measuring, timed ones of a recording or of this machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from edgesft.budget.verdict import Line
from edgesft.errors import InputError, UnavailableError
from edgesft.gate import check as gate
from edgesft.gate.baseline import Baseline
from edgesft.gate.check import Asked, check
from edgesft.gate.document import GateDocument
from edgesft.gate.update import entries, update
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.row import Row
from edgesft.measure.devices import HERE, Interpreter
from edgesft.measure.driver import MeasureError
from edgesft.measure.instructions import Instructions
from edgesft.measure.model.file import inspect
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec import load
from edgesft.spec.profile import ProfileSpec, ProviderSpec, SessionSpec
from edgesft.tasks.contract import Contract
from tests import tiny
from tests.gate.test_artefact import save_moods
from tests.measure import models
from tests.measure.test_recording import CPU, MS, lines, text
from tests.report.measured import measurement

QUIET = Progress(quiet=True)
PROFILE = models.profile()
QNN = "QNNExecutionProvider"

Ask = Callable[..., GateDocument]


def order(model: Path, profile: ProfileSpec = PROFILE) -> Order:
    return Order([model], profile, profile.providers[:1], axes={"batch": 1} if model.suffix == ".onnx" else {})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.save_product(tmp_path / "m.onnx", width=8, repeats=3)


@pytest.fixture
def ask(tmp_path: Path, model: Path) -> Ask:
    """Checks the model, or another artefact, against limits."""

    def ask(
        limits: Mapping[str, Any], artefact: Path | None = None, profile: ProfileSpec = PROFILE, **more: Any
    ) -> GateDocument:
        file = tmp_path / "budget.yaml"
        file.write_text(yaml.safe_dump({"version": 1, **limits}, sort_keys=False))
        spec, document = load.gate(file)
        given = artefact or model
        return check(Asked(given, spec, document, **more), order(gate.artefact(given).model, profile), QUIET)

    return ask


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would be timed fails the test."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing may be timed")

    monkeypatch.setattr(gate.bench, "bench", refuse)


def npu() -> ProfileSpec:
    """The profile, on another provider with two threads."""
    return PROFILE.model_copy(update={"providers": (ProviderSpec(name=QNN), *PROFILE.providers), "threads": 2})


def save_base(folder: Path, data: Mapping[str, Any], figures: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """A baseline of one check, some of its figures changed; other keys are the file's."""
    entry = {
        "key": data["key"],
        "figures": {**data["figures"], **(figures or {})},
        "sha256": data["subject"]["sha256"],
        "bytes": data["subject"]["size_bytes"],
        "created": data["created"],
    }
    whole = {"schema": "edgesft/baseline", "schema_version": 1, "entries": [entry], **changes}
    file = folder / "baseline.json"
    file.write_text(json.dumps(whole))
    return file


def said(found: GateDocument) -> dict[str, dict[str, Any]]:
    return {each.line.name: each.to_json() for each in found.lines}


def verdicts(found: GateDocument) -> dict[str, str]:
    return {name: line["verdict"] for name, line in said(found).items()}


@pytest.mark.usefixtures("unmeasured")
class TestCounted:
    """What repeats to the last digit gates on any machine, and nothing is timed for it."""

    def test_each_limit_has_a_line(self, ask: Ask) -> None:
        # Three products of 1 × 8 by 8 × 8; the matrix is shared.
        limits = {"size_mb": 1, "parameters": 64, "macs": 192, "nodes": 3, "off_provider": 0, "operators": ["MatMul"]}
        found = ask({**limits, "placement_share": 1.0})
        assert set(verdicts(found).values()) == {"pass"} and found.verdict == "pass"
        assert said(found)["macs"]["value"] == 192 and said(found)["parameters"]["value"] == 64
        assert {line["kind"] for line in said(found).values()} == {"static"}

    def test_one_less_fails(self, ask: Ask) -> None:
        limits = {"size_mb": 1e-6, "parameters": 63, "macs": 191, "nodes": 2, "operators": ["Add"]}
        found = ask(limits)
        assert set(verdicts(found).values()) == {"fail"}
        assert "MatMul × 3" in said(found)["operators"]["reason"]

    def test_a_line_has_its_place_in_the_file(self, ask: Ask) -> None:
        place = said(ask({"size_mb": 1, "nodes": 3}))["nodes"]["place"]
        assert place["line"] == 3 and place["file"].endswith("budget.yaml")

    def test_instructions_gate(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        counted: list[Subject] = []

        def count(subject: Subject) -> Instructions:
            counted.append(subject)
            return Instructions(5000, (5000,), "callgrind", "3.19", "a processor")

        monkeypatch.setattr(gate, "count", count)
        found = ask({"instructions": 4999})
        assert verdicts(found) == {"instructions": "fail"} and len(counted) == 1
        assert any("callgrind" in note for note in found.notes)
        assert found.facts["figures"]["instructions"] == 5000

    def test_instructions_that_cannot_be_counted_are_inconclusive(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(subject: Subject) -> Instructions:
            raise UnavailableError("no tool", "apt-get install valgrind")

        monkeypatch.setattr(gate, "count", refuse)
        found = ask({"instructions": 4999})
        assert verdicts(found) == {"instructions": "inconclusive"}
        assert any("no tool" in note for note in found.notes)

    def test_the_runtime_may_come_from_another_package(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of onnxruntime-gpu nothing is installed under the name of onnxruntime."""

        def version(name: str) -> str:
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(gate, "version", version, raising=False)
        assert ask({"size_mb": 1}).facts["key"]["runtime"] == onnxruntime.__version__

    def test_options_are_part_of_the_key(self, ask: Ask) -> None:
        provider = ProviderSpec(name=CPU, options={"use_arena": "0"})
        found = ask({"size_mb": 1}, profile=PROFILE.model_copy(update={"providers": (provider,)}))
        assert found.facts["key"]["options"] == ["use_arena=0"]
        assert "options" not in ask({"size_mb": 1}).facts["key"]
        session = SessionSpec(optimisation="extended")
        found = ask({"size_mb": 1}, profile=PROFILE.model_copy(update={"session": session}))
        assert found.facts["key"]["options"] == ["optimisation=extended"], "a session's are its own, too"

    def test_a_profile_of_fixed_shapes_takes_no_free_axes(self, ask: Ask, tmp_path: Path) -> None:
        fixed = PROFILE.model_copy(update={"static_shapes": True, "name": "npu"})
        line = said(ask({"size_mb": 1}, profile=fixed))["free_axes"]
        assert line["verdict"] == "fail" and "batch" in line["reason"] and "npu" in line["reason"]
        still = models.save_streaming(tmp_path / "still.onnx")
        assert verdicts(ask({"size_mb": 1}, still, fixed)) == {"size_mb": "pass", "free_axes": "pass"}

    def test_several_devices_are_refused(self, model: Path, tmp_path: Path) -> None:
        (budget := tmp_path / "budget.yaml").write_text("version: 1\nsize_mb: 1\n")
        devices = [HERE, Interpreter(Path("other"))]
        with pytest.raises(InputError, match="device must be one"):
            check(Asked(model, *load.gate(budget)), replace(order(model), devices=devices), QUIET)

    def test_a_budget_without_a_limit_is_refused(self, ask: Ask) -> None:
        with pytest.raises(InputError, match="must have at least one limit"):
            ask({})


class TestTimed:
    """What is timed, here."""

    def test_limits_bind_where_the_machine_is_the_profiles(self, ask: Ask) -> None:
        # Looks go on until the machine held still for one of them; where others use it, that takes a while.
        patient = PROFILE.measure.model_copy(update={"max_seconds": 60.0, "warmup_seconds": 5.0})
        profile = PROFILE.model_copy(update={"measure": patient})
        found = ask({"latency_ms": {"p50": 1000}, "load_ms": 60_000, "peak_memory_mb": 1}, profile=profile)
        timed = {"latency_ms.p50": "pass", "load_ms": "pass", "peak_memory_mb": "fail"}
        assert verdicts(found) == timed | {"parity": "pass"}
        assert found.facts["figures"]["p50"]["lower"] <= found.facts["figures"]["p50"]["upper"]
        assert found.facts["key"]["model"] == "m.onnx" and "steadiness" in found.notes[0]

    def test_on_another_machine_they_are_inconclusive_and_name_the_field(self, ask: Ask) -> None:
        other = PROFILE.model_copy(update={"machine": PROFILE.machine.model_copy(update={"architecture": "riscv64"})})
        found = ask({"latency_ms": {"p50": 1000}, "nodes": 3}, profile=other)
        assert verdicts(found) == {"latency_ms.p50": "inconclusive", "nodes": "pass", "parity": "pass"}
        assert "riscv64" in said(found)["latency_ms.p50"]["reason"]


class TestSurveyed:
    """What is found out besides the times, of rows that nobody measured."""

    @pytest.fixture
    def asked(self) -> list[dict[str, Any]]:
        """What measuring was asked for, each time."""
        return []

    @pytest.fixture
    def row(self, model: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Has the model's row be so."""

        def row(**told: Any) -> None:
            made = Row("m.onnx", inspect(model), CPU, **{"measurement": measurement(), **told})
            monkeypatch.setattr(gate.bench, "bench", lambda *_, **how: asked.append(how) or [made])

        return row

    def test_times_that_no_node_of_the_provider_took_are_none(self, ask: Ask, row: Callable[..., None]) -> None:
        row(problem="measured, but not checked: no node ran on QNNExecutionProvider")
        with pytest.raises(MeasureError, match="no node ran on QNNExecutionProvider"):
            ask({"latency_ms": {"p50": 1000}})

    def test_answers_that_differ_fail(self, ask: Ask, row: Callable[..., None]) -> None:
        row(lines=(Line("parity", 0.001, 0.5, None, None, "fail"),))
        found = ask({"peak_memory_mb": 1000})
        assert verdicts(found)["parity"] == "fail" and said(found)["parity"]["kind"] == "static"
        assert found.verdict == "fail"

    def test_settings_of_a_scenario_must_be_the_baseline_s(
        self, ask: Ask, row: Callable[..., None], tmp_path: Path
    ) -> None:
        limits = {"max_growth": {"p50": 0.5}}

        def flight(streams: int) -> dict[str, Any]:
            detail = {"streams": streams, "how": "run_async", "throughput": 1.0}
            row(measurement=measurement(scenario="multi-stream", options={"use_arena": "0"}, detail=detail))
            return ask(limits).to_json()

        base = save_base(tmp_path, flight(2))
        assert verdicts(ask(limits, baseline=base))["max_growth.p50"] == "pass"
        assert flight(4)["key"]["options"] == ["use_arena=0"]
        reason = said(ask(limits, baseline=base))["max_growth.p50"]["reason"]
        assert reason == "scenario: the baseline has multi-stream, 2 in flight, this is multi-stream, 4 in flight"

    def test_growth_of_loading_is_measured_so_that_it_can_be_decided(
        self, ask: Ask, row: Callable[..., None], asked: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        starts = {"loads_ns": tuple(range(5_000_000, 5_000_005)), "firsts_ns": tuple(range(2_000_000, 2_000_005))}
        row(measurement=measurement(**starts))
        limits = {"max_growth": {"load": 0.5, "first_inference": 0.5, "p95": 0.5}}
        base = save_base(tmp_path, ask(limits).to_json())
        found = ask(limits, baseline=base)
        growth = {f"max_growth.{name}": "pass" for name in ("load", "first_inference", "p95", "p50")}
        assert growth.items() <= verdicts(found).items()
        assert len(asked) == 2 and all({"load", "first_inference", "p95"} <= how["figures"] for how in asked)


@pytest.mark.usefixtures("unmeasured")
class TestElsewhere:
    """Measurements of a board, a phone or a browser."""

    @pytest.fixture
    def recorded(self, tmp_path: Path, model: Path) -> Callable[..., Path]:
        """A device's file of the model, some fields of its answers changed."""

        def recorded(**changes: Any) -> Path:
            file = tmp_path / "device.jsonl"
            digest = hashlib.sha256(model.read_bytes()).hexdigest()
            own = {
                "model": {"name": "m.onnx", "bytes": model.stat().st_size, "sha256": digest},
                "load": {"provider": CPU, "threads": 1, "placement": {CPU: 3}},
                "time": {"ns": [MS + place for place in range(400)]},
            }
            told = lines(**{name: own.get(name, {}) | changes.get(name, {}) for name in {*own, *changes}})
            series = [each for each in told if each["op"] == "time"]
            at = told.index(series[0])
            file.write_text(text([*told[:at], *series * 8, *told[at + len(series) :]]))
            return file

        return recorded

    def test_they_gate_with_their_own_fingerprint(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        asked = {"latency_ms": {"p50": 2}, "peak_memory_mb": 1}
        found = ask(asked, measurements=recorded(info={"machine": {"cores": 8, "model": "a phone"}}))
        assert verdicts(found) == {"latency_ms.p50": "pass", "peak_memory_mb": "pass"}
        assert found.facts["key"]["machine"]["model"] == "a phone" and found.facts["key"]["runtime"] == "1.2.3"
        assert "a phone" in found.notes[0] and "device.jsonl" in found.notes[0]
        assert verdicts(ask({"latency_ms": {"p50": 0.5}}, measurements=recorded()))["latency_ms.p50"] == "fail"

    def test_a_device_that_is_not_the_profiles_is_inconclusive(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        other = PROFILE.model_copy(update={"machine": PROFILE.machine.model_copy(update={"model": "Pixel 8"})})
        found = ask({"latency_ms": {"p50": 2}}, profile=other, measurements=recorded())
        assert verdicts(found) == {"latency_ms.p50": "inconclusive"}
        assert "Pixel 8" in said(found)["latency_ms.p50"]["reason"]

    def test_a_recording_does_not_tell_of_the_profiles_session(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        own = PROFILE.model_copy(update={"session": SessionSpec(optimisation="basic")})
        found = ask({"latency_ms": {"p50": 2}}, profile=own, measurements=recorded())
        line = verdicts(found)["latency_ms.p50"], str(found.lines[0].line.reason)
        assert line == (
            "inconclusive",
            "session: the check asks for optimisation=basic, the recording does not tell its own",
        )

    def test_a_simulator_s_times_decide_nothing(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        limits = {"latency_ms": {"p50": 2}, "load_ms": 1000, "off_provider": 0}
        found = ask(limits, measurements=recorded(load={"simulated": "an emulator"}))
        timed = dict.fromkeys(("latency_ms.p50", "load_ms"), "inconclusive")
        assert verdicts(found) == timed | {"off_provider": "pass"}
        assert "it ran on an emulator" in said(found)["latency_ms.p50"]["reason"]

    def test_a_clock_that_jumps_decides_nothing(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        jumped = [MS + place for place in range(399)] + [3_600_000 * MS]
        found = ask({"latency_ms": {"p50": 2}}, measurements=recorded(time={"ns": jumped}))
        assert verdicts(found) == {"latency_ms.p50": "inconclusive"}
        assert "line" in said(found)["latency_ms.p50"]["reason"]

    def test_a_clock_that_runs_backwards_is_no_measurement(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match=r"device\.jsonl"):
            ask({"latency_ms": {"p50": 2}}, measurements=recorded(time={"ns": [MS, -5]}))

    def test_those_of_another_model_are_refused(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        with pytest.raises(InputError) as caught:
            ask({"latency_ms": {"p50": 2}}, measurements=recorded(model={"name": "n.onnx", "sha256": "ab" * 32}))
        assert "'n.onnx' (sha256 abababababab…)" in str(caught.value) and "m.onnx" in str(caught.value)

    def test_of_several_that_of_the_provider_and_threads_asked_for_is_taken(
        self, ask: Ask, recorded: Callable[..., Path]
    ) -> None:
        slow = {"ns": [9 * MS + place for place in range(400)]}
        parts = [
            recorded(load={"threads": 8}).read_text(),
            recorded(load={"provider": QNN, "threads": 2, "placement": {QNN: 2, CPU: 1}}, time=slow).read_text(),
        ]
        for text_of_all in ("".join(parts), "".join(reversed(parts))):
            (file := recorded()).write_text(text_of_all)
            found = ask({"latency_ms": {"p50": 2}, "off_provider": 0}, profile=npu(), measurements=file)
            assert verdicts(found) == {"latency_ms.p50": "fail", "off_provider": "fail"}
            assert found.facts["key"]["provider"] == QNN and found.facts["key"]["threads"] == 2

    def test_one_of_another_provider_and_thread_count_decides_nothing(
        self, ask: Ask, recorded: Callable[..., Path]
    ) -> None:
        limits = {"latency_ms": {"p50": 2}, "peak_memory_mb": 1000, "off_provider": 0, "nodes": 3}
        found = ask(limits, profile=npu(), measurements=recorded(load={"threads": 8, "io": "device"}))
        undecided = ("latency_ms.p50", "peak_memory_mb", "off_provider")
        assert verdicts(found) == dict.fromkeys(undecided, "inconclusive") | {"nodes": "pass"}
        for name in undecided:
            reason = said(found)[name]["reason"]
            assert f"provider: the check asks for {QNN}, the recording has {CPU}" in reason
            assert "threads: the check asks for 2, the recording has 8" in reason and "io: " in reason
        assert said(found)["off_provider"]["value"] is None and said(found)["latency_ms.p50"]["value"] is not None

    def test_growth_of_another_provider_is_no_growth_of_the_asked_one(
        self, ask: Ask, recorded: Callable[..., Path], tmp_path: Path
    ) -> None:
        file, limits = recorded(), {"max_growth": {"p50": 0.5, "partitions": 0}}
        base = save_base(tmp_path, ask({"latency_ms": {"p50": 2}}, measurements=file).to_json())
        assert verdicts(ask(limits, measurements=file, baseline=base))["max_growth.p50"] == "pass"
        found = ask(limits, profile=npu(), measurements=file, baseline=base)
        assert verdicts(found)["max_growth.p50"] == "inconclusive" and verdicts(found)["max_growth.size"] == "pass"
        assert "provider" in said(found)["max_growth.p50"]["reason"]

    def test_a_file_that_is_cut_short_is_refused(self, ask: Ask, recorded: Callable[..., Path]) -> None:
        file = recorded()
        file.write_text(file.read_text()[:-40])
        with pytest.raises(InputError, match=r"device\.jsonl"):
            ask({"latency_ms": {"p50": 2}}, measurements=file)


@pytest.mark.usefixtures("unmeasured")
class TestMetrics:
    """Accuracy and the like."""

    @pytest.fixture
    def moods(self, tmp_path: Path) -> Path:
        tiny.write_rows(tmp_path / "test.jsonl", tiny.rows(60))
        return save_moods(tmp_path / "moods")

    def test_rows_are_answered(self, ask: Ask, moods: Path, tmp_path: Path) -> None:
        found = ask({"min_metric": {"accuracy": 0.9}}, moods, rows=tmp_path / "test.jsonl")
        assert verdicts(found) == {"min_metric.accuracy": "pass"} and said(found)["min_metric.accuracy"]["value"] == 1
        assert found.facts["figures"]["metrics"]["accuracy"]["value"] == 1

    def test_a_drop_needs_the_original(self, ask: Ask, moods: Path, tmp_path: Path) -> None:
        limits = {"min_metric": {"accuracy": 0.9}, "max_drop": {"accuracy": 0.01}}
        found = ask(limits, moods, rows=tmp_path / "test.jsonl")
        assert verdicts(found) == {"max_drop.accuracy": "inconclusive", "min_metric.accuracy": "pass"}
        assert "of the original is not known" in said(found)["max_drop.accuracy"]["reason"]
        assert "edgesft compare" in found.notes[-1]

    def test_rows_of_any_classifier(self, ask: Ask, tmp_path: Path) -> None:
        model, rows = models.save_classifier(tmp_path / "ids.onnx"), tmp_path / "rows.npz"
        np.savez(rows, ids=np.arange(20).reshape(20, 1) % 10, labels=np.zeros(20, int))
        found = ask({"min_metric": {"accuracy": 1.0}}, model, rows=rows)
        assert verdicts(found) == {"min_metric.accuracy": "fail"}

    def test_an_unknown_metric_is_named_with_the_nearest(self, ask: Ask, moods: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught:
            ask({"min_metric": {"acuracy": 0.9}}, moods, rows=tmp_path / "test.jsonl")
        assert "min_metric.acuracy" in str(caught.value) and "'accuracy'" in str(caught.value)
        assert "budget.yaml:3" in str(caught.value)

    def test_a_contract_is_asked_for_metrics_alone(self, ask: Ask, moods: Path) -> None:
        (moods / "contract.json").write_text(Contract("arrays").text())
        assert verdicts(ask({"size_mb": 1}, moods)) == {"size_mb": "pass"}
        with pytest.raises(InputError, match="contract must tell 'inputs'"):
            ask({"min_metric": {"accuracy": 0.9}}, moods)

    def test_without_rows_it_is_inconclusive_and_says_what_to_give(self, ask: Ask, moods: Path) -> None:
        found = ask({"min_metric": {"accuracy": 0.9}}, moods)
        assert verdicts(found) == {"min_metric.accuracy": "inconclusive"} and "--rows" in found.notes[-1]


@pytest.mark.usefixtures("unmeasured")
class TestBaseline:
    """Against the file that a team commits."""

    @pytest.fixture
    def base(self, ask: Ask, tmp_path: Path) -> Callable[..., Path]:
        """A baseline of the model as it is, some of its figures changed; other keys are the file's."""

        def base(figures: Mapping[str, Any] | None = None, **changes: Any) -> Path:
            return save_base(tmp_path, ask({"macs": 10_000, "off_provider": 0}).to_json(), figures, **changes)

        return base

    def test_the_same_artefact_holds(self, ask: Ask, base: Callable[..., Path]) -> None:
        found = ask({"max_growth": {"macs": 0}}, baseline=base())
        held = {"max_growth.size", "max_growth.parameters", "max_growth.nodes", "max_growth.macs"}
        assert held <= set(verdicts(found)) and found.verdict == "pass"

    def test_what_grew_fails(self, ask: Ask, base: Callable[..., Path]) -> None:
        found = ask({"max_growth": {"nodes": 0.4}}, baseline=base({"nodes": 2}))
        line = said(found)["max_growth.nodes"]
        assert line["verdict"] == "fail" and line["value"] == pytest.approx(0.5)
        assert line["place"]["line"] == 3

    def test_an_accepted_regression_is_let_through_until_it_expires(self, ask: Ask, base: Callable[..., Path]) -> None:
        today = datetime.now(UTC).date()
        for until, verdict in ((today, "pass"), (today - timedelta(days=1), "fail")):
            accepted = {"line": "max_growth.nodes", "model": "m.onnx", "up_to": 0.5, "reason": "a new head"}
            file = base({"nodes": 2}, accepted=[{**accepted, "until": until.isoformat()}])
            line = said(ask({}, baseline=file))["max_growth.nodes"]
            assert line["verdict"] == verdict
            assert "a new head" in line["accepted" if verdict == "pass" else "reason"]

    def test_one_of_another_model_is_refused(self, ask: Ask, base: Callable[..., Path], tmp_path: Path) -> None:
        other = models.save_product(tmp_path / "other.onnx", width=8)
        with pytest.raises(InputError) as caught:
            ask({}, other, baseline=base())
        assert "'other.onnx'" in str(caught.value) and "'m.onnx'" in str(caught.value)

    def test_one_of_a_newer_schema_is_refused(self, ask: Ask, base: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match="at most 1 for this edgesft, got 2"):
            ask({}, baseline=base(schema_version=2))

    def test_figures_of_a_check_make_a_baseline(self, base: Callable[..., Path]) -> None:
        (entry,) = Baseline.read(base()).entries
        assert entry.figures.nodes == 3 and entry.figures.macs == 192 and entry.figures.off_provider == 0
        assert entry.figures.inputs == "random (seed 0)"

    def test_what_is_multiplied_compares_on_like_inputs(self, ask: Ask, base: Callable[..., Path]) -> None:
        line = said(ask({"max_growth": {"macs": 0}}, baseline=base({"inputs": "random (seed 0, x.0 2)"})))[
            "max_growth.macs"
        ]
        assert line["verdict"] == "inconclusive"
        assert line["reason"] == "inputs: the baseline has random (seed 0, x.0 2), this is random (seed 0)"

    def test_stated_growth_is_found_out_before_there_is_a_baseline(self, ask: Ask) -> None:
        found = ask({"max_growth": {"macs": 0}})
        assert found.facts["figures"]["macs"] == 192
        assert "baseline update" in found.notes[-1]

    def test_without_a_baseline_stated_growth_is_inconclusive(self, ask: Ask) -> None:
        found = ask({"size_mb": 1, "max_growth": {"size": 0.1, "nodes": None}})
        assert verdicts(found) == {"size_mb": "pass", "max_growth.size": "inconclusive"}
        line = said(found)["max_growth.size"]
        assert line["reason"] == "no baseline was given" and line["limit"] == 0.1 and line["place"]["line"] == 4
        assert found.verdict == "inconclusive"

    def test_growth_that_nobody_limited_needs_no_baseline(self, ask: Ask) -> None:
        found = ask({"size_mb": 1, "max_growth": {"p50": None}})
        assert found.verdict == "pass" and not any("baseline" in note for note in found.notes)

    def test_a_first_check_makes_the_baseline(self, ask: Ask, tmp_path: Path) -> None:
        limits = {"size_mb": 1, "max_growth": {"size": 0.1}}
        (check_file := tmp_path / "check.json").write_text(json.dumps(ask(limits).to_json()))
        base = tmp_path / "first.json"
        base.write_text(update(Baseline(base), entries([check_file])).baseline.text())
        assert ask(limits, baseline=base).verdict == "pass"


class TestTimedBaseline:
    """Times against a baseline."""

    def test_of_another_machine_they_are_inconclusive_and_static_lines_decided(self, ask: Ask, tmp_path: Path) -> None:
        limits = {"max_growth": {"p50": 100.0}}
        data = ask(limits).to_json()
        data["key"]["machine"]["model"], data["key"]["runtime"] = "another processor", "1.0.0"
        found = ask(limits, baseline=save_base(tmp_path, data))
        reason = said(found)["max_growth.p50"]["reason"]
        assert "another processor" in reason and "runtime: the baseline has 1.0.0" in reason
        assert verdicts(found)["max_growth.size"] == "pass" and found.verdict == "inconclusive"


@pytest.mark.usefixtures("unmeasured")
def test_the_size_of_a_run_is_that_of_every_file_that_the_device_loads(ask: Ask, tmp_path: Path) -> None:
    from tests.gate.test_artefact import save_run

    run = save_run(tmp_path / "run", save_moods(tmp_path / "exported"))
    given = gate.artefact(run)
    whole, alone = given.size_bytes, given.model.stat().st_size
    assert whole is not None and given.original_size_bytes is not None and whole > alone + 1000
    limits = {"size_mb": (whole - 1) / 1e6, "size_ratio": 1000}
    found = ask(limits, run)
    assert verdicts(found)["size_mb"] == "fail" and said(found)["size_mb"]["value"] == pytest.approx(whole / 1e6)
    assert said(found)["size_ratio"]["value"] == pytest.approx(whole / given.original_size_bytes)
    assert found.facts["figures"]["size"] == alone, "growth is the model's, as a file alone has it"
    assert verdicts(ask(limits, given.model))["size_mb"] == "pass"


@pytest.mark.usefixtures("unmeasured")
def test_what_a_run_recorded_gates(ask: Ask, tmp_path: Path) -> None:
    from tests.gate.test_artefact import save_run

    run = save_run(tmp_path / "run", save_moods(tmp_path / "exported"))
    found = ask({"min_metric": {"accuracy": 0.95}, "max_drop": {"accuracy": 0.03}, "size_ratio": 1000}, run)
    assert verdicts(found) == {"min_metric.accuracy": "fail", "max_drop.accuracy": "pass", "size_ratio": "pass"}
