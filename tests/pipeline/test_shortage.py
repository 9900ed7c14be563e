"""Whether the validation rows suffice for an allowance, which no training depends on."""

from __future__ import annotations

import pytest

from edgesft.pipeline.shortage import diagnosed, few_rows
from edgesft.stages.context import StageReport


def test_too_few_rows_for_the_claim() -> None:
    found = few_rows(0.9, 872, 0.01)
    assert found is not None and found["name"] == "few-rows"
    assert "±1.7 points" in found["message"] and "about 2,4" in found["hint"]
    assert few_rows(0.9, 872, 0.02) is None
    assert few_rows(1.0, 20, 0.01) is not None, "none wrong of few says little"
    assert (none := few_rows(0.9, 872, 0.0)) is not None and none["hint"].startswith("a larger allowance")


@pytest.mark.parametrize(("allowance", "names"), [(0.01, ["leak", "few-rows"]), (0.05, ["leak"])])
def test_the_budget_of_the_day_is_held_against_what_was_answered(allowance: float, names: list[str]) -> None:
    details = {"diagnosis": [{"name": "leak"}], "answered": {"rows": 872, "correct": 0.9}}
    found = diagnosed(StageReport("", details), allowance)
    assert [each["name"] for each in found.details["diagnosis"]] == names
    assert details["diagnosis"] == [{"name": "leak"}]


def test_a_stage_without_a_diagnosis_has_none() -> None:
    report = StageReport("", {"training": {}})
    assert diagnosed(report, 0.01) is report
