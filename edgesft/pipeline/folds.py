"""Cross-validation: how well a recipe's fine-tuning does on rows that it did not see, over all of its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.budget.drop import levels
from edgesft.errors import InputError
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker
from edgesft.pipeline.outcome import Evaluation
from edgesft.pipeline.plan import plan
from edgesft.pipeline.preflight import preflight
from edgesft.pipeline.rows import Measurer
from edgesft.progress import Progress
from edgesft.spec.training import ResolvedTraining
from edgesft.store.disk import guarded
from edgesft.store.store import Store


def folds(
    path: Path, count: int, settings: Sequence[str] = (), store: Store | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Fine-tunes once for each fold, on all training rows but those of the fold, which the model then answers.

    A fold is the recipe with `data.fold=1/5`, and is in the store once it is done. The weights are those of the end:
    the best of several evaluations would have been chosen by the rows that are then answered. Validation rows that the
    recipe carves from train are among the rows that are dealt out; a file of them is not read. Nor is one of several
    learning rates chosen by those rows: the middle one is taken, as where a stage finds none out.

    Args:
        path: Recipe file.
        count: Folds, at least 2.
        settings: `a.b=c` values that replace what the file says.
        store: Where finished folds lie; by default the usual place.
        progress: Tells the person.

    Returns:
        JSON values: `metric` (the deciding one), `folds` (of each its `rows` and `metrics`), `mean` and `deviation` (of
        each metric over the folds; the sample's standard deviation), `pooled` (of each metric over all rows, each
        answered by the model that did not see it: `value`, and `lower` and `upper`, its one-sided 95 % bounds; None
        where the answers of the folds cannot be put side by side).

    Raises:
        InputError: The recipe cannot be run, has no finetune stage, or a label has too few rows for so many folds.
    """
    if count < 2:
        raise InputError(f"folds: must be at least 2, got {count}", "--folds 5")
    store, progress = store or Store(), progress or Progress()
    jobs = []
    for number in range(1, count + 1):
        checked = check(path, [*settings, f"data.fold={number}/{count}"], store)
        # The profile decides how long it takes, not what is learnt.
        jobs.append(Job(checked.recipe, checked.base, checked.profiles[0], store, progress))
    with guarded(store.root):
        preflight(jobs[0])
        found = [_answered(job, f"fold {number}/{count}") for number, job in enumerate(jobs, 1)]
    each = [dict(one.metrics) for one in found]
    return {
        "recipe": str(path),
        "metric": jobs[0].metric,
        "folds": [{"rows": len(one.predictions), "metrics": metrics} for one, metrics in zip(found, each, strict=True)],
        "mean": {name: float(np.mean([metrics[name] for metrics in each])) for name in each[0]},
        "deviation": {name: float(np.std([metrics[name] for metrics in each], ddof=1)) for name in each[0]},
        "pooled": _pooled(jobs, found),
    }


def _answered(job: Job, label: str) -> Evaluation:
    """What the model that learnt from the other folds says to the fold's rows."""
    step = next((step for step in plan(job.recipe) if step.spec.stage == "finetune"), None)
    if step is None:
        raise InputError("folds: the recipe must have a finetune stage, got none", "stages: [{stage: finetune}]")
    changes: dict[str, Any] = {"evaluations": 1, "patience": None}
    if rates := sorted(getattr(step.spec, "learning_rates", ())):
        changes["learning_rate"] = rates[(len(rates) - 1) // 2]
    settings = (step.training or ResolvedTraining()).model_copy(update=changes)
    spec = step.spec.model_copy(update={"learning_rates": ()})
    measurer = Measurer(job)
    maker = Maker(job)
    step = replace(step, name=f"{step.name}, {label}", spec=spec, training=settings)
    artefact, _ = maker.make(step, maker.start(), None)
    return measurer.evaluation(maker.onnx(artefact), "validation")


def _pooled(jobs: Sequence[Job], found: Sequence[Evaluation]) -> Mapping[str, Any] | None:
    if len({one.predictions.shape[1:] for one in found}) > 1:
        return None
    job = jobs[0]
    predictions = np.concatenate([one.predictions for one in found])
    references = np.concatenate([each.task.references(each.validation) for each in jobs])

    def scorer(answers: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return job.task.score(answers, references[rows], job.contract)

    return {name: interval._asdict() for name, interval in levels(scorer, predictions).items()}
