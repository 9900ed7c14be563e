"""What a recipe leaves open is found from the rows and the task."""

from __future__ import annotations

import pytest

from edgesft.pipeline.auto import fill_auto
from edgesft.pipeline.plan import training
from edgesft.spec import auto
from edgesft.spec.recipe import RecipeSpec
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.text_classification import TextClassification


def recipe(stages: list[dict[str, object]]) -> RecipeSpec:
    given = {"version": 1, "model": "m", "task": "text-classification", "data": {"train": "t"}, "stages": stages}
    return RecipeSpec.model_validate(given)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(100_000, (4, 2, 6)), (10_000, (4, 2, 6)), (2_000, (20, 10, 30)), (9, (30, 15, 45))]
)
def test_few_rows_are_seen_more_often(rows: int, epochs: tuple[int, ...]) -> None:
    found = fill_auto(recipe(auto.stages()), TextClassification(), rows)
    assert tuple(spec.epochs for spec in found.stages[:3]) == epochs


def test_students_of_other_kinds_train_longer() -> None:
    found = fill_auto(recipe(auto.stages()), Arrays(), 10_000)
    assert [spec.epochs for spec in found.stages[:3]] == [4, 6, 18]


def test_rates_are_the_tasks() -> None:
    found = fill_auto(recipe(auto.stages()), TextClassification(), 1000)
    assert found.stages[0].learning_rates == (1e-4, 3e-4) and found.stages[1].learning_rate == 1e-4
    assert [training(spec, found).token_substitution for spec in found.stages[:3]] == [0, 0.2, 0.2]
    found = fill_auto(recipe(auto.stages()), Arrays(), 1000)
    assert found.stages[0].learning_rates == (3e-4, 1e-3, 3e-3)
    assert [training(spec, found).learning_rate for spec in found.stages[:3]] == [1e-3] * 3
    assert [training(spec, found).max_grad_norm for spec in found.stages[:3]] == [100] * 3
    assert not any(training(spec, found).token_substitution for spec in found.stages[:3])


def test_changes_that_a_teacher_judges_wait_for_it_where_the_task_knows_them() -> None:
    asked = recipe([{"stage": "finetune"}, {"stage": "distill", "mixup": "auto", "mixed_epochs": 2, "flip": "auto"}])
    arrays, texts = (fill_auto(asked, task, 1000).stages[1] for task in (Arrays(), TextClassification()))
    assert (arrays.mixup, arrays.flip, texts.mixup, texts.flip) == ("auto", "auto", None, None)
    assert (arrays.mixed_epochs, texts.mixed_epochs) == (2, 1)
    assert RecipeSpec.model_validate(fill_auto(asked, TextClassification(), 1000).model_dump())


def test_what_is_said_stays() -> None:
    said = recipe([{"stage": "finetune", "epochs": 2, "learning_rate": 1e-5}, {"stage": "distill", "epochs": "auto"}])
    found = fill_auto(said, TextClassification(), 1000)
    assert found.stages[0] == said.stages[0]
    assert found.stages[1].epochs == 45 and training(found.stages[1], found).learning_rate == 1e-5
