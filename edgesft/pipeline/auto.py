"""Fills in the `auto` settings of a recipe: epochs and learning rate, from the rows and the task."""

from __future__ import annotations

from typing import Any

from edgesft.spec.auto import AUTO
from edgesft.spec.recipe import RecipeSpec
from edgesft.spec.stages import DistillSpec, FinetuneSpec, PruneSpec
from edgesft.spec.training import TrainingSpec
from edgesft.tasks.base import Task

ROWS = {"finetune": 40_000, "prune": 20_000, "distill": 60_000}
"""Training rows that a stage passes in all, each round of pruning for itself: about what the recipes of the bench that
were set by hand passed, whose sets have 7 to 15 thousand rows."""

FEWEST, MOST = {"finetune": 4, "prune": 2, "distill": 6}, {"finetune": 30, "prune": 15, "distill": 45}
"""Epochs at least and at most: many rows want to be seen more than once, few rows teach nothing new at some time."""


SUBSTITUTED = 0.2
"""Share of tokens that a student reads others in the place of, where the task has tokens."""

JUDGED = ("flip", "shift", "mixup")
"""Changes of rows that a teacher judges, where the task knows them."""


def fill_auto(recipe: RecipeSpec, task: Task, rows: int) -> RecipeSpec:
    """The recipe with a number for every training setting that is `auto`.

    Args:
        recipe: As it was read.
        task: Has usual learning rates.
        rows: Of training.
    """
    stages = tuple(
        spec.model_copy(update=_found(spec, task, rows)) if isinstance(spec, TrainingSpec) else spec
        for spec in recipe.stages
        # What finds out how far to prune finds out, too, that nothing may be pruned.
        if not (task.unprunable and isinstance(spec, PruneSpec) and spec.latency == AUTO)
    )
    return recipe.model_copy(update={"stages": stages})


def _found(spec: TrainingSpec, task: Task, rows: int) -> dict[str, Any]:
    kind: str = getattr(spec, "stage", "finetune")
    found: dict[str, Any] = {}
    if spec.epochs == AUTO:
        passed = ROWS[kind] * (1 if isinstance(spec, FinetuneSpec) else task.patience)
        if spec.max_grad_norm is None:
            found["max_grad_norm"] = task.max_grad_norm
        found["epochs"] = float(min(max(round(passed / rows, 1), FEWEST[kind]), MOST[kind]))
    if spec.learning_rate == AUTO:
        # What is cut recovers at the middle one; what is pretrained may want less, and what is new more.
        found["learning_rate"] = task.learning_rates[(len(task.learning_rates) - 1) // 2]
        if isinstance(spec, FinetuneSpec):
            found["learning_rates"] = task.learning_rates
    if spec.token_substitution == AUTO:
        found["token_substitution"] = SUBSTITUTED if "token_substitution" in task.training else None
    for name in JUDGED:
        if getattr(spec, name) == AUTO and name not in task.training:
            found[name] = None
    if isinstance(spec, DistillSpec) and found.get("mixup", AUTO) is None:
        found["mixed_epochs"] = 1.0
    return found
