"""Supervised fine-tuning on the labelled rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from edgesft.errors import StageError
from edgesft.spec.stages import FinetuneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.training import keep_ranges, train
from edgesft.train import checkpoint
from edgesft.train.diagnosis import diagnose
from edgesft.train.evidence import gather
from edgesft.train.head import imprint

TRIAL = 0.15
"""Share of the epochs for which a learning rate is tried."""


def run(spec: FinetuneSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Trains the model on the rows and writes the best weights.

    Args:
        spec: The stage; its settings are already in `context.training`.
        artefact: A torch artefact.
        out: Folder of the result.
        context: Rows, settings and surroundings.

    Raises:
        InputError: The artefact is damaged.
        StageError: The training diverged, or with each of several learning rates.
    """
    model = checkpoint.load(artefact.path, context.task)
    if spec.head == "prototypes":
        imprint(
            model,
            len(artefact.contract.labels),
            task=context.task,
            processor=context.processor,
            train=context.train,
            settings=context.training,
            seed=context.seed,
        )
    tried = _tried(spec, model, context)
    if tried:
        context = replace(context, training=context.training.model_copy(update={"learning_rate": lowest_good(tried)}))
    report = train(model, context, label=spec.name or spec.stage)
    checkpoint.save(model, out, context.processor, artefact.contract)
    keep_ranges(report, out)
    found = gather(
        model,
        context.task,
        context.processor,
        context.train,
        context.validation,
        report,
        epochs=context.training.epochs,
        seed=context.seed,
        names=artefact.contract.labels,
    )
    diagnosis = [finding.called(context.numbers).to_json() for finding in diagnose(found)] if found else []
    details: dict[str, Any] = {"training": asdict(report), "diagnosis": diagnosis}
    if found:
        right = found.validation.correct
        details["answered"] = {"rows": len(right), "correct": float(right.mean())}
    if tried:
        details |= {"learning_rate": context.training.learning_rate, "tried": [vars(one) for one in tried]}
    return StageReport(report.summary(context.task.metrics[0]), details)


@dataclass(frozen=True)
class Tried:
    """A learning rate that was tried.

    Attributes:
        rate: It.
        score: The deciding metric on validation; None where the training diverged.
        error: Its standard error, taken for that of a share of the rows.
    """

    rate: float
    score: float | None
    error: float


def lowest_good(tried: Sequence[Tried]) -> float:
    """The lowest rate whose score is within a standard error of the best one's: less breaks less of what is pretrained
    (the one-standard-error rule of Breiman et al. 1984, section 3.4.3).
    """
    scores = {one: one.score for one in tried if one.score is not None}
    best = max(scores, key=scores.__getitem__)
    return min(one.rate for one, score in scores.items() if score >= scores[best] - best.error)


def _tried(spec: FinetuneSpec, model: nn.Module, context: StageContext) -> list[Tried]:
    """Short trainings of copies of the model, one a rate; the score of each is kept in the work folder."""
    rates = spec.learning_rates
    if len(rates) == 1:
        return [Tried(rates[0], 0.0, 0.0)]
    tried, metric, rows = list[Tried](), context.task.metrics[0], len(context.validation)
    failed: StageError | None = None
    for rate in rates:
        settings = {"learning_rate": rate, "epochs": context.training.epochs * TRIAL, "evaluations": 1}
        short = replace(context, training=context.training.model_copy(update=settings))
        work = context.work / f"rate-{rate:g}"
        work.mkdir(exist_ok=True)
        try:
            score = train(copy.deepcopy(model), short, label=f"learning rate {rate:g}", work=work).best[metric]
        except StageError as error:
            failed, score = error, math.nan
        if math.isfinite(score):
            context.progress.say(f"learning rate {rate:g}: validation {metric} {score:.4f}")
            tried.append(Tried(rate, score, math.sqrt(max(score * (1 - score), 0.0) / rows)))
        else:
            context.progress.say(f"learning rate {rate:g}: the training diverged")
            tried.append(Tried(rate, None, 0.0))
    if tried and all(one.score is None for one in tried):
        raise failed or StageError(f"finetune: {metric} is not a number with any of the learning rates")
    return tried
