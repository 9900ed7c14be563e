from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.measure.bench.order import Order
from edgesft.spec.profile import MeasureSpec
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
        ("paced", {"pipeline": "text"}, "pipeline must go with the scenario end-to-end, got paced"),
        ("cold", {"pipeline_settings": ["max_length=8"]}, "pipeline must go with the scenario end-to-end, got cold"),
        ("end-to-end", {"reference": Path("r.onnx")}, "reference must go with requests"),
        ("end-to-end", {"batch": 2}, "batch must be 1 for the scenario end-to-end, got 2"),
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
    end_to_end = order("end-to-end", pipeline="text", pipeline_settings=["max_length=8"], inputs=Path("rows.jsonl"))
    end_to_end.check()
    assert end_to_end.end_to_end and not order().end_to_end
