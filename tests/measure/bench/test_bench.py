from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.measure.bench import bench as module
from edgesft.measure.bench.bench import inspected, lines, subject
from edgesft.measure.bench.lacking import Lacking, absent, lacking
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.bench.row import Row
from edgesft.measure.devices import HERE, Interpreter
from edgesft.measure.driver import MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.model.file import ModelFile
from edgesft.measure.parity import compare
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.budget import BudgetSpec
from edgesft.spec.profile import MachineSpec, MeasureSpec, ProviderSpec
from tests.measure import models
from tests.measure.bench.stub import Stub

CPU, CUDA, QNN = (ProviderSpec(name=f"{name}ExecutionProvider") for name in ("CPU", "CUDA", "QNN"))
FILE = ModelFile(Path("m.onnx"), "onnx", (Path("m.onnx"),), 2_000_000, "0")


def order(**changes: Any) -> Order:
    names = ("budget", "providers", "measure", "machine")
    plan = models.profile(**{name: changes.pop(name) for name in names if name in changes})
    return Order(**{"models": [FILE.path], "profile": plan, "providers": plan.providers, **changes})


def test_rows_are_called_by_their_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first = models.save_product(tmp_path / "a" / "m.onnx")
    second = Path(shutil.copy(first, tmp_path / "b" / "m.onnx"))
    third = Path(shutil.copy(first, tmp_path / "n.onnx"))
    assert list(inspected([first, third])) == ["m.onnx", "n.onnx"]
    assert list(inspected([first, second, third])) == [str(first), str(second), "n.onnx"]


def test_every_wrong_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        inspected([tmp_path / "none.onnx", tmp_path])
    assert len(refused.value.problems) == 2


def test_a_provider_that_the_runtime_lacks_is_told_with_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "connect", lambda self, device=None: Stub())
    found = absent(order(providers=(CUDA, CPU, QNN)))
    assert list(found) == [CUDA.name]
    assert "onnxruntime 1.0, which has CPU" in found[CUDA.name] and "pip install onnxruntime-gpu" in found[CUDA.name]


def test_an_interpreter_without_a_runtime_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Order, "connect", lambda self, device=None: Stub(refuses={"info": "onnxruntime cannot be imported"})
    )
    with pytest.raises(
        UnavailableError, match="(?s)other must be an interpreter.*refused: onnxruntime.*Try: other -m pip install"
    ) as no:
        absent(order(devices=[Interpreter(Path("other"))]))
    assert no.value.exit_code == 4


def test_the_profile_s_other_providers_stand_behind() -> None:
    asked = order(providers=(QNN, CPU), allow_cpu=True, time_limit=7.0)
    ready = Prepared(FILE, Requests(({"x": np.ones(1)},), "test"), {"h": "hn"})
    made = subject(asked, ready, CPU)
    assert made.providers == (CPU, QNN) and made.allow_cpu and made.time_limit == 7
    assert made.states == {"h": "hn"} and made.files == FILE.files and made.held == made.requests.feeds


def parity(off: float) -> Row:
    return Row("m", FILE, CPU.name, parity=compare([{"y": np.ones(4)}], [{"y": np.ones(4) + off}], "fp32"))


@pytest.mark.parametrize(
    ("off", "value", "verdict"),
    [(0.0, 0.0, "pass"), (5e-4, 5e-4, "pass"), (0.5, 0.5, "fail"), (np.nan, None, "fail"), (np.inf, None, "fail")],
)
def test_parity_with_itself_is_judged(off: float, value: float | None, verdict: str) -> None:
    (line,) = lines(order(), parity(off))
    assert (line.name, line.limit, line.verdict) == ("parity", 1e-3, verdict)
    assert line.value == (value if value is None else pytest.approx(value))
    json.dumps(line.to_json(), allow_nan=False)


def test_parity_with_another_model_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(order(reference=Path("fp32.onnx")), parity(0.5)) == ()


def test_what_was_not_measured_is_judged_by_what_is_known() -> None:
    limited = order(budget=BudgetSpec(size_mb=1, latency_ms={"p95": 5}))
    timed, size = lines(limited, Row("m", FILE, CPU.name, problem="it crashed"))
    assert (timed.verdict, timed.reason) == ("inconclusive", "nothing was measured")
    assert (size.name, size.value, size.verdict) == ("size_mb", 2.0, "fail")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What measuring is asked to do, in place of doing it."""
    told: dict[str, Any] = {}

    def measure(subjects: Mapping[str, Subject], settings: MeasureSpec, **how: Any) -> dict[str, MeasureError]:
        told.update(how, subjects=subjects)
        return {name: MeasureError("enough") for name in subjects}

    ready = Prepared(FILE, Requests(({"x": np.ones(1)},), "test"))
    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(module, "lacking", lambda order: {HERE.label: Lacking({})})
    monkeypatch.setattr(module, "inspected", lambda models: {"m.onnx": FILE})
    monkeypatch.setattr(module, "prepare", lambda order, file: ready)
    return told


class TestEnds:
    """How long is measured, and how often the model is loaded; nothing is measured here."""

    @pytest.fixture
    def asked(self, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
        """What measuring is asked to do, with the row's confidence."""

        def asked(figures: Sequence[str] = (), *, differs: bool = False, **changes: Any) -> dict[str, Any]:
            monkeypatch.setattr(module, "lacking", lambda order: {HERE.label: Lacking({}, differs=differs)})
            (row,) = module.bench(order(providers=(CPU,), **changes), Progress(quiet=True), figures=figures)
            return told | {"confidence": row.confidence}

        return asked

    EASY = BudgetSpec(latency_ms={"p50": 5})

    def first_look(self, told: dict[str, Any]) -> int:
        """Rounds after which an easy limit ends it."""
        still = tuple(tuple(1_000_000 + (place * 7 + number) % 11 for place in range(30)) for number in range(99))
        return next(count for count in range(1, 99) if told["stop"]({"m.onnx": still[:count]}))

    def test_easy_limits_end_it_at_the_first_look(self, asked: Any) -> None:
        told = asked(budget=self.EASY)
        assert self.first_look(told) == 10 and told["confidence"] == pytest.approx(0.975) and told["loads"] == 1

    def test_other_percentiles_have_all_rounds_first(self, asked: Any) -> None:
        patient = models.profile().measure.model_copy(update={"rounds": 25})
        told = asked(["p50"], budget=self.EASY, measure=patient)
        assert self.first_look(told) == 25
        assert self.first_look(asked(["peak_memory", "load"], budget=self.EASY, measure=patient)) == 10

    @pytest.mark.parametrize("figures", [["load"], ["first_inference"]])
    def test_growth_of_loading_takes_several_loads(self, asked: Any, figures: list[str]) -> None:
        assert asked(figures)["loads"] == module.LOADS == asked(budget=BudgetSpec(load_ms=9))["loads"]
        assert asked(["p50"])["loads"] == 1

    def test_what_is_never_decided_is_not_looked_at(self, asked: Any) -> None:
        """Without looks each bound needs no more than what is stated."""
        for told in (
            asked(),
            asked(budget=self.EASY, differs=True),
            asked(budget=self.EASY, measure=MeasureSpec(scenario="sustained")),
        ):
            assert told["stop"] is None and told["confidence"] == pytest.approx(0.95)


def test_one_provider_with_two_sets_of_options_is_two_rows(told: dict[str, Any]) -> None:
    sets = [ProviderSpec(name="OpenVINOExecutionProvider", options={"device_type": kind}) for kind in ("CPU", "GPU")]
    module.bench(order(providers=(*sets, CPU)), Progress(quiet=True))
    named = ["m.onnx OpenVINO:device_type=CPU", "m.onnx OpenVINO:device_type=GPU", "m.onnx CPU"]
    taken = told["subjects"]
    assert list(taken) == named and [taken[name].providers[0] for name in named] == [*sets, CPU]


@pytest.mark.parametrize(("model", "differs"), [("No Such Board", True), (None, False)])
def test_another_machine_than_the_profile_s_is_known_before(
    monkeypatch: pytest.MonkeyPatch, model: str | None, differs: bool
) -> None:
    monkeypatch.setattr(Order, "connect", lambda self, device=None: Stub())
    (found,) = lacking(order(machine=MachineSpec(model=model))).values()
    assert found.differs is differs and not found.unreachable


def test_short_names_of_providers() -> None:
    assert module.short(CUDA.name) == "CUDA" and module.short("mine") == "mine"
