from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgesft.errors import InputError
from edgesft.measure.bench import prepare as module
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import prepare
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.driver import MeasureError
from edgesft.measure.model.file import inspect
from edgesft.spec.profile import ProviderSpec
from tests.measure import models
from tests.measure.bench.stub import Stub


def prepared(path: Path, **changes: Any) -> Prepared:
    plan = models.profile()
    order = Order(**{"models": [path], "profile": plan, "providers": plan.providers, **changes})
    return prepare(order, inspect(path))


@pytest.fixture
def stubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = models.save_product(tmp_path / "m.onnx")

    def run(stub: Stub, **changes: Any) -> Prepared:
        monkeypatch.setattr(Order, "connect", lambda self, device=None: stub)
        return prepared(path, **changes)

    return run


def test_a_model_s_own_unoptimised_answers_are_the_reference(tmp_path: Path) -> None:
    path = models.save_classifier(tmp_path / "m.onnx")
    found = prepared(path, axes={"sequence": 7}, batch=2)
    assert len(found.requests.feeds) == 16 and found.requests.source == "random (seed 0, batch 2, sequence 7)"
    assert {feeds["ids"].shape for feeds in found.requests.feeds} == {(2, 7)}
    table = onnx.numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    assert found.reference == "itself, unoptimised on the CPU"
    for feeds, outputs in zip(found.compared, found.expected, strict=True):
        assert np.allclose(outputs["logits"], table[feeds["ids"]].mean(1), atol=1e-6)


def test_another_model_s_answers_may_be_it(tmp_path: Path) -> None:
    path = models.save_streaming(tmp_path / "m.onnx")
    halved = models.save(
        tmp_path / "half.onnx",
        [("Mul", ["x", "half"], ["y"], {}), ("Identity", ["h"], ["hn"], {})],
        {"x": ("float", (1, 4)), "h": ("float", (1, 4))},
        {"y": ("float", (1, 4)), "hn": ("float", (1, 4))},
        half=np.float32(0.5),
    )
    found = prepared(path, reference=halved)
    assert found.reference == "half.onnx, unoptimised on the CPU" and found.states == {"h": "hn"}
    assert all(not feeds["h"].any() for feeds in found.compared), "a state begins with zeros"
    assert all(
        np.array_equal(out["y"], feeds["x"] / 2) for feeds, out in zip(found.compared, found.expected, strict=True)
    )


def test_a_model_that_only_another_provider_takes_has_no_reference(stubbed: Any) -> None:
    providers = [ProviderSpec(name="QNNExecutionProvider")]
    found = stubbed(Stub(cpu=False), providers=providers)
    assert found.expected == () and found.reference == "the CPU cannot load the model"
    assert stubbed(Stub(), providers=providers).expected


def test_the_reason_of_the_cpu_is_told_where_no_provider_takes_it(stubbed: Any) -> None:
    with pytest.raises(MeasureError, match="no kernel"):
        stubbed(Stub(cpu=False))


def test_answers_that_are_no_tensors_are_not_compared(stubbed: Any) -> None:
    stub = Stub(refuses={"run": "an output must be a tensor, got list"})
    found = stubbed(stub)
    assert found.expected == () and found.requests.feeds and "must be a tensor, got list" in found.reference
    assert stub.asked[-2:] == ["request", "first"], "it was looked whether the model runs at all"


def test_requests_that_the_model_cannot_run_on_are_bad_input(stubbed: Any) -> None:
    with pytest.raises(InputError, match=r"inputs must be what the model can run on, got random \(seed 0\): out of r"):
        stubbed(Stub(refuses={"run": "out of range", "first": "out of range"}))


def test_a_batch_needs_its_axis(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch must be 1 .* got 3"):
        prepared(models.save_image(tmp_path / "m.onnx"), batch=3)


@pytest.mark.parametrize(("count", "picked"), [(1, 1), (5, 5), (16, 16), (100, 16)])
def test_what_is_compared_spreads_from_the_smallest_to_the_largest(count: int, picked: int) -> None:
    feeds = [{"x": np.ones((1, 1 + (place * 37) % count))} for place in range(count)]
    sizes = [each["x"].size for each in module._spread(feeds)]
    assert len(sizes) == picked and sizes == sorted(sizes) and (sizes[0], sizes[-1]) == (1, count)
