"""Supervised training, shared by fine-tuning, recovery and distillation: a thin layer over transformers' Trainer."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from edgesft import processes
from edgesft.progress import Progress
from edgesft.spec.training import UNKEYED, ResolvedTraining
from edgesft.tasks.base import Example, Task
from edgesft.tasks.contract import Contract
from edgesft.train import workers
from edgesft.train.adapters import adapted
from edgesft.train.average import AVERAGE
from edgesft.train.batches import Steps, ahead
from edgesft.train.channels import channels_last
from edgesft.train.checkpoint import WEIGHTS, restore_weights
from edgesft.train.depth import thawed
from edgesft.train.digests import add_tensors
from edgesft.train.environment import arithmetic, training_environment
from edgesft.train.gradient import Gradient
from edgesft.train.neighbours import neighbours
from edgesft.train.objective import Objective, inputs_of, task_objective
from edgesft.train.predictor import runner
from edgesft.train.regularisation import balanced, dropping
from edgesft.train.resume import Checkpoints
from edgesft.train.rounding import LEVELS, REDUCED, ranged, ranges, rounded
from edgesft.train.tables import sparse_gradients
from edgesft.train.trackers import watching
from edgesft.train.trainer import Plan, StepTrainer, arguments

__all__ = ["FitReport", "fit", "loss_options", "runner"]


WAITING = 0.1
"""Share of the time spent waiting for batches above which the user is told."""


@dataclass(frozen=True)
class FitReport:
    """What a training did.

    Attributes:
        best: Metrics on the validation rows of the weights that were kept.
        best_step: The step they are from.
        steps: Steps in all.
        history: Of each evaluation: step, mean loss since the one before, learning rate, metrics.
        seconds: Wall-clock seconds of all the processes that took part.
        waited: Share of the last process's time in which steps waited for their batch.
        arithmetic: `fp32` or `bf16`.
        ranges: Layer → least and greatest value that it can read, where these were learned.
    """

    best: Mapping[str, float]
    best_step: int
    steps: int
    history: Sequence[Mapping[str, Any]]
    seconds: float
    waited: float
    arithmetic: str
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def summary(self, deciding: str) -> str:
        """One line; `deciding` is the metric that the step was chosen by."""
        return f"validation {deciding} {self.best[deciding]:.4f} at step {self.best_step} of {self.steps}"


def fit(
    model: nn.Module,
    *,
    task: Task,
    processor: Any,
    contract: Contract,
    train: Sequence[Example],
    validation: Sequence[Example],
    settings: ResolvedTraining,
    seed: int,
    work: Path,
    progress: Progress,
    label: str,
    objective: Objective | None = None,
    numbers: Sequence[int] | None = None,
    reader: nn.Module | None = None,
) -> FitReport:
    """Trains a model in place; on return it holds the weights of the best evaluation, on the CPU.

    Best by the task's first metric; a tie goes to the later one, which has seen more rows at a lower rate. Killed at
    any moment and called again with the same arguments, it goes on from its last checkpoint, and the weights are the
    same to the byte, on one machine with the same number of threads: all randomness is a function of seed and step.

    Args:
        model: Called by the objective with the task's inputs.
        task: Collates, augments, predicts and scores.
        processor: The task's.
        contract: Of the model.
        train: Encoded training rows, at least one.
        validation: Encoded validation rows, at least one.
        settings: How to train.
        seed: Of order, noise and dropout.
        work: Folder for checkpoints, of this training only; it outlives a killed process. Removing it is the caller's.
        progress: Shows the steps.
        label: Beside the bar.
        objective: What to minimise; by default the task's loss with the settings' label smoothing.
        numbers: What messages call each training row; by default its place among them, counted from 1.
        reader: The model whose embeddings tell which tokens may stand for each other; by default the one that trains.
            With a teacher, whose embeddings stay as they are, each training of a student sees the same changed rows.

    Raises:
        StageError: The loss or a weight became infinite or not a number.
    """
    began = time.monotonic()
    with training_environment():
        options = arguments(settings, work / "partial", seed)
        number_format = arithmetic(settings.arithmetic, options.device)
        alike = _neighbours(reader or model, task, processor, train, settings)
        steps = Steps(task, processor, train, settings, seed, alike)
        objective = objective or task_objective(task, **loss_options(settings, train))
        gradient = Gradient(model, objective, steps, settings, seed, bf16=number_format == "bf16")
        checkpoints = Checkpoints(work, _fingerprint(model, settings, number_format, seed, len(train), len(validation)))
        record = checkpoints.latest()
        if processes.count() > 1:
            workers.send(gradient)
        with (
            _prepared(gradient),
            workers.exchanging(model) as exchange,
            ahead(steps) as batches,
            progress.bar(label, len(steps), record.step) as advance,
        ):
            plan = Plan(
                evaluate=partial(_score, model, task, processor, contract, validation, settings.batch_size),
                deciding=task.metrics[0],
                settings=settings,
                evaluations=_evaluations(len(steps), settings.evaluations),
                checkpoint_seconds=settings.checkpoint_minutes * 60,
                started=time.monotonic() - record.seconds,
                advance=advance,
                say=progress.say,
                numbers=numbers or range(1, len(train) + 1),
            )
            watch = watching(options, settings.report_to, label, progress.folder)
            trainer = StepTrainer(options, plan, checkpoints, record, gradient, batches, exchange, watch)
            if settings.patience is None or record.stale(plan.deciding) < settings.patience:
                trainer.train(resume_from_checkpoint=str(checkpoints.at(record.step)) if record.step else None)
            model.to("cpu")
            restore_weights(model, checkpoints.at(record.best_step) / (AVERAGE if settings.average else WEIGHTS))
            learned = ranges(model)
    waited = batches.waited / (time.monotonic() - began)
    if waited > WAITING:
        progress.say(f"{label}: {waited:.0%} of the time was spent waiting for rows; less augmentation takes less")
    return FitReport(
        best=record.best,
        best_step=record.best_step,
        steps=len(steps),
        history=record.history,
        seconds=record.seconds,
        waited=waited,
        arithmetic=number_format,
        ranges=learned,
    )


def _score(
    model: nn.Module,
    task: Task,
    processor: Any,
    contract: Contract,
    validation: Sequence[Example],
    batch_size: int,
) -> dict[str, float]:
    """The task's metrics of a model on the validation rows."""
    predictions = task.predict(runner(model, task.modules), validation, processor, batch_size=batch_size)
    return task.score(predictions, task.references(validation), contract)


def serve() -> None:
    """Serves the first of several processes: computes the gradients that its trainings ask for, until it is done.

    Raises:
        InputError: A module of the user's is missing here.
        StageError: The memory does not suffice for a single row.
    """
    while (gradient := workers.receive()) is not None:
        with training_environment(), _prepared(gradient), workers.exchanging(gradient.model) as exchange:
            gradient.model.to(arguments(gradient.settings, Path(tempfile.gettempdir()), gradient.seed).device)
            while exchange and (step := exchange.begin()) != workers.OVER:
                batch = gradient.steps[step]
                exchange.combine(gradient.add(step, batch, processes.rank(), processes.count()))


@contextmanager
def _prepared(gradient: Gradient) -> Iterator[None]:
    """A context in which the model has its dropout, layout, rounding and adapters for training."""
    model, settings = gradient.model, gradient.settings
    with (
        dropping(model, settings.dropout),
        thawed(model),
        channels_last(model),
        _rounding(gradient),
        adapted(model, settings, gradient.seed),
        # Penalties have gradients of the whole table.
        nullcontext() if settings.l1 or settings.l2 else sparse_gradients(model),
    ):
        yield


def _rounding(gradient: Gradient) -> AbstractContextManager[None]:
    """A context in which the model computes with the device's rounding, if the settings ask for it."""
    kind, levels = gradient.settings.quantization, REDUCED if gradient.settings.reduced else LEVELS
    if kind == "int8-static":
        return ranged(gradient.model, inputs_of(gradient.steps[0]), levels)
    return rounded(gradient.model, levels=levels) if kind == "int8-dynamic" else nullcontext()


def loss_options(settings: ResolvedTraining, train: Sequence[Example]) -> dict[str, Any]:
    """The options of the task's loss that the settings give: `label_smoothing` and `class_weights`."""
    weights = balanced(train) if settings.class_weights == "balanced" else None
    return {"label_smoothing": settings.label_smoothing, "class_weights": weights}


def _neighbours(
    model: nn.Module, task: Task, processor: Any, train: Sequence[Example], settings: ResolvedTraining
) -> np.ndarray | None:
    """For each token in the rows that is not special, the tokens with the most similar embeddings in the model."""
    tokens = task.tokens(train) if settings.token_substitution else None
    return None if tokens is None else neighbours(model, tokens - set(processor.all_special_ids))


def _evaluations(steps: int, count: int) -> frozenset[int]:
    """The steps after which to evaluate, evenly spaced; the last step is one of them."""
    return frozenset(math.ceil(steps * index / count) for index in range(1, count + 1))


def _fingerprint(
    model: nn.Module, settings: ResolvedTraining, number_format: str, seed: int, train: int, validation: int
) -> str:
    """Digest of the initial weights and all settings that decide the result: only the same training is resumed."""
    chosen = settings.model_dump(exclude={"arithmetic", *UNKEYED}) | {"reduced": settings.reduced}
    digest = hashlib.sha256(json.dumps([chosen, number_format, seed, train, validation], sort_keys=True).encode())
    add_tensors(digest, model.state_dict())
    return digest.hexdigest()
