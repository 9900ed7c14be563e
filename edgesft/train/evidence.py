"""Gathers what a diagnosis reads: the answers of a trained classifier on its own training rows and on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from edgesft.data.chunks import chunks
from edgesft.tasks.base import Example, Task
from edgesft.train.diagnosis import Answers, Evidence
from edgesft.train.engine import FitReport
from edgesft.train.predictor import runner

SAMPLE = 2000
"""Training rows that are answered: a share of them is told to a point."""

BATCH = 32


def gather(
    model: nn.Module,
    task: Task,
    processor: Any,
    train: Sequence[Example],
    validation: Sequence[Example],
    report: FitReport,
    *,
    epochs: float,
    seed: int,
    names: Sequence[str] = (),
) -> Evidence | None:
    """The evidence of a training; None where the task is not one class a row, of which alone there is a diagnosis.

    Args:
        model: With the weights that were kept.
        task: Predicts.
        processor: The task's.
        train: Encoded training rows.
        validation: Encoded validation rows.
        report: Of the training.
        epochs: Passes over the rows that were asked.
        seed: Of the sample.
        names: Of the classes.
    """
    first = task.references(train[:1])
    if first.ndim != 1 or first.dtype.kind != "i":
        return None
    chosen = np.arange(len(train))
    if len(train) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(train), SAMPLE, replace=False))

    def answers(split: str, rows: Sequence[int], examples: Sequence[Example]) -> Answers:
        logits = task.predict(runner(model, task.modules), examples, processor, batch_size=BATCH)
        return Answers(split, rows, logits, task.references(examples), [_identity(each) for each in examples])

    sample = answers("train", chosen.tolist(), [train[int(row)] for row in chosen])
    held = answers("validation", range(len(validation)), validation)
    if sample.logits.ndim != 2:
        return None
    # Of the training rows, which may be more than fit in memory, only what validation has in common with them is kept.
    seen, known, counts = set[bytes](), frozenset(held.inputs), np.zeros(sample.logits.shape[1], np.int64)
    for chunk in chunks(train):
        seen |= known.intersection(map(_identity, chunk))
        counts += np.bincount(task.references(chunk), minlength=len(counts))
    return Evidence(
        history=report.history,
        deciding=task.metrics[0],
        best_step=report.best_step,
        steps=report.steps,
        epochs=epochs,
        train=sample,
        validation=held,
        seen=frozenset(seen),
        counts=counts.tolist(),
        names=names,
    )


def _identity(example: Example) -> bytes:
    """Equal for equal inputs."""
    return b"\0".join(values.tobytes() for name, values in sorted(example.items()) if name != "labels")
