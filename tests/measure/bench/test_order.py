from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.measure.bench.order import Order
from edgesft.spec.profile import MeasureSpec, ProviderSpec
from tests.measure.models import profile


def order(scenario: str = "single-stream", **changes: Any) -> Order:
    plan = profile(measure=MeasureSpec(scenario=scenario))
    return Order(**{"models": [Path("m.onnx")], "profile": plan, "providers": plan.providers, **changes})


@pytest.mark.parametrize(
    ("scenario", "changes", "words"),
    [
        (
            "single-stream",
            {"models": [Path("m.onnx"), Path("./m.onnx")]},
            "models must differ, got m.onnx more than once",
        ),
        (
            "single-stream",
            {"providers": [ProviderSpec(name="AExecutionProvider", options={"o": "1"})] * 2},
            "providers must differ, got AExecutionProvider more than once with the same options",
        ),
        ("paced", {"pipeline": "text"}, "pipeline must go with the scenario end-to-end or pipeline, got paced"),
        ("cold", {"pipeline_settings": ["max_length=8"]}, "scenario end-to-end or pipeline, got cold"),
        ("end-to-end", {"reference": Path("r.onnx")}, "reference must go with requests"),
        ("end-to-end", {"batch": 2}, "batch must be 1 for the scenario end-to-end, got 2"),
        ("pipeline", {"reference": Path("r.onnx")}, "can be compared, got the scenario pipeline"),
        ("pipeline", {"batch": 2}, "batch must be 1 for the scenario pipeline, got 2"),
        ("offline", {"axes": {"n": 2}, "inputs": Path("rows.npz")}, "axes must go with random inputs"),
    ],
)
def test_what_would_have_no_effect_is_refused(scenario: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        order(scenario, **changes).check()


def test_all_of_it_is_told_at_once() -> None:
    with pytest.raises(InputError) as refused:
        order(pipeline="text", models=[Path("m.onnx")] * 2).check()
    assert len(refused.value.problems) == 2


def test_what_has_an_effect_is_taken() -> None:
    order(axes={"n": 2}, batch=4, reference=Path("r.onnx")).check()
    for scenario in ("end-to-end", "pipeline"):
        raw = order(scenario, pipeline="text", pipeline_settings=["max_length=8"], inputs=Path("rows.jsonl"))
        raw.check()
        assert raw.end_to_end
    assert not order().end_to_end
