from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.measure.bench import bench as module
from edgesft.measure.bench.bench import absent, inspected, lines, subject
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.bench.row import Row
from edgesft.measure.devices import Interpreter
from edgesft.measure.inputs import Requests
from edgesft.measure.model.file import ModelFile
from edgesft.measure.parity import compare
from edgesft.spec.budget import BudgetSpec
from edgesft.spec.profile import ProviderSpec
from tests.measure import models
from tests.measure.bench.stub import Stub

CPU, CUDA, QNN = (ProviderSpec(name=f"{name}ExecutionProvider") for name in ("CPU", "CUDA", "QNN"))
FILE = ModelFile(Path("m.onnx"), "onnx", (Path("m.onnx"),), 2_000_000, "0")


def order(**changes: Any) -> Order:
    plan = models.profile(**{name: changes.pop(name) for name in ("budget", "providers") if name in changes})
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


def test_short_names_of_providers() -> None:
    assert module.short(CUDA.name) == "CUDA" and module.short("mine") == "mine"
