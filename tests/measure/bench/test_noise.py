from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.budget.percentile import Interval
from edgesft.errors import InputError, UnavailableError
from edgesft.measure.bench.noise import Noise, noise
from edgesft.measure.bench.order import Order
from edgesft.progress import Progress
from edgesft.spec.profile import ProviderSpec
from tests.measure import models
from tests.measure.bench.stub import Stub

QUIET = Progress(quiet=True)


def test_the_floor_is_the_furthest_that_equals_came_from_each_other() -> None:
    pairs = (Interval(1.01, 0.97, 1.04), Interval(0.99, 0.92, 1.02), Interval(1.1, 1.05, 1.06))
    found = Noise("m", "cpu", {50: pairs, 95: (Interval(1.2, None, None), pairs[0])}, ())
    assert found.floors == {50: pytest.approx(0.08), 95: None}, "without bounds nothing is known"
    assert found.false_alarms == {50: 1, 95: 0}
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["floors"]["p95"] is None and told["pairs"]["p50"][1] == {"value": 0.99, "lower": 0.92, "upper": 1.02}


def test_a_false_alarm_on_the_lower_side_counts() -> None:
    assert Noise("m", "cpu", {50: (Interval(0.9, 0.85, 0.95),)}, ()).false_alarms == {50: 1}


def test_it_takes_one_model_on_one_provider(tmp_path: Path) -> None:
    first, second = (models.save_product(tmp_path / name) for name in ("a.onnx", "b.onnx"))
    plan = models.profile()
    with pytest.raises(InputError, match="one model on one provider, got 2 models and 1 providers"):
        noise(Order([first, second], plan, plan.providers), QUIET)
    with pytest.raises(InputError, match="got 1 models and 2 providers"):
        noise(Order([first], plan, [*plan.providers, ProviderSpec(name="CUDAExecutionProvider")]), QUIET)


def test_the_provider_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "connect", lambda self, device: Stub())
    model, plan = models.save_product(tmp_path / "m.onnx"), models.profile()
    with pytest.raises(UnavailableError, match="pip install onnxruntime-gpu"):
        noise(Order([model], plan, [ProviderSpec(name="CUDAExecutionProvider")]), QUIET)
