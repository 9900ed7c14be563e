"""Orders of stages: exports inserted, groups that are judged together, what cannot work."""

from __future__ import annotations

from typing import Any

import pytest

from edgesft.pipeline.plan import bargains, order_problems, plan, training
from edgesft.spec.document import Document
from edgesft.spec.recipe import RecipeSpec

FINETUNE = {"stage": "finetune", "epochs": 2}
PRUNE = {"stage": "prune", "parameters": 0.5}
DISTILL = {"stage": "distill"}
QUANTIZE = {"stage": "quantize"}
EXPORT = {"stage": "export", "opset": 18}
BENCHMARK = {"stage": "benchmark"}


def recipe(*stages: dict[str, Any]) -> RecipeSpec:
    return RecipeSpec.model_validate(
        {"version": 1, "model": "m", "task": "t", "data": {"train": "t.jsonl"}, "stages": list(stages)}
    )


def problems(*stages: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in order_problems(recipe(*stages), Document("recipe.yaml", {}))]


def names(*stages: dict[str, Any]) -> list[str]:
    return [step.name for step in plan(recipe(*stages))]


def test_an_export_is_inserted_before_quantize() -> None:
    steps = plan(recipe(FINETUNE, QUANTIZE))
    assert [step.name for step in steps] == ["finetune", "export for quantize", "quantize", "benchmark"]
    assert [step.inserted for step in steps] == [False, True, False, True]


def test_the_export_stage_governs_the_inserted_one() -> None:
    steps = plan(recipe(FINETUNE, QUANTIZE, EXPORT, BENCHMARK))
    assert [step.name for step in steps] == ["finetune", "export for quantize", "quantize", "benchmark"]
    assert steps[1].spec.opset == 18


def test_names_are_unique() -> None:
    assert names(FINETUNE, PRUNE, PRUNE)[:3] == ["finetune", "prune", "prune-2"]
    assert "must be used once" in problems(FINETUNE, {**PRUNE, "name": "a"}, {**PRUNE, "name": "a"})[0]


def test_recoveries_are_judged_with_what_they_repair() -> None:
    groups = [[step.name for step in group] for group in bargains(plan(recipe(FINETUNE, PRUNE, DISTILL, QUANTIZE)))]
    assert groups == [["finetune"], ["prune", "distill"], ["export for quantize"], ["quantize"], ["benchmark"]]


def test_a_shallower_student_is_there_for_speed() -> None:
    groups = [[step.name for step in group] for group in bargains(plan(recipe(FINETUNE, {**DISTILL, "layers": 3})))]
    assert groups == [["finetune"], ["distill"], ["benchmark"]]
    assert plan(recipe(FINETUNE, {**DISTILL, "layers": 3}))[1].role == "speed"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((FINETUNE, QUANTIZE, PRUNE), "'prune' must start from a torch model. Got onnx from 'quantize' before it"),
        ((FINETUNE, EXPORT, DISTILL), "'distill' must start from a torch model"),
        ((FINETUNE, QUANTIZE, {**QUANTIZE, "name": "again"}), "'again' must be the only quantize stage"),
        ((BENCHMARK, FINETUNE), "'benchmark' must be the last stage"),
        ((PRUNE, FINETUNE), "'finetune' must come before the stages that compress"),
        (
            (FINETUNE, {**DISTILL, "teacher": "prune"}, PRUNE),
            "'teacher' must be a stage that comes before. Got 'prune'",
        ),
    ],
)
def test_orders_that_cannot_work(stages: tuple[dict[str, Any], ...], message: str) -> None:
    assert any(message in problem for problem in problems(*stages))


def test_the_usual_order_works() -> None:
    assert problems(FINETUNE, PRUNE, DISTILL, QUANTIZE, EXPORT, BENCHMARK) == []


def test_training_settings_come_from_finetune() -> None:
    whole = recipe({**FINETUNE, "batch_size": 8}, {**PRUNE, "epochs": 5})
    found = training(whole.stages[1], whole)
    assert found is not None and (found.epochs, found.batch_size, found.learning_rate) == (5, 8, 5e-5)
    assert training(recipe(QUANTIZE).stages[0], whole) is None


def test_what_depends_on_measured_latency() -> None:
    steps = plan(recipe(PRUNE, {"stage": "prune", "latency": 0.5}, {**QUANTIZE, "scheme": "int8-dynamic"}))
    assert [step.measured for step in steps[:2]] == [False, True]
    for latency in ({"latency": "auto"}, {"latency_ms": 4}):
        assert plan(recipe({"stage": "prune", **latency}))[0].measured
    assert not steps[3].measured and plan(recipe(QUANTIZE))[1].measured
    assert plan(recipe({"stage": "prune", "parameters": 0.5, "vocabulary": "auto"}))[0].measured
    steps = plan(recipe(DISTILL, {**DISTILL, "quantization": "auto"}))
    assert [step.measured for step in steps[:2]] == [False, True]
