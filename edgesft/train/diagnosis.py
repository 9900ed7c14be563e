"""What a training's curves and answers tell, in words, each with what to change: pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgesft.tasks.metrics import classification

SHOWN = 20
"""Rows that a finding lists, the worst first."""

SURE = 0.7
"""Mean probability of the confident answers from which they may speak against a label: below it the task itself is a
matter of opinion."""

NOISY = 0.04
"""Share of the training rows whose label is contradicted with confidence after it was taught. A model that was stopped
early is confidently wrong on some rows whose labels are right, up to about that share; less noise is not told."""

DEVIATIONS = 3.0
"""Standard deviations by which a share must exceed its bound."""

APART = 0.1
"""Least distance of train and validation metric that is worth a word."""

IMBALANCED = 10
"""Largest class over smallest from which accuracy hides what becomes of the small one."""

LEAK = 0.01
"""Share of validation rows that may also be in train: `data.checks.OVERLAP_LIMIT`."""


@dataclass(frozen=True)
class Finding:
    """Something that a person should know and can change.

    Attributes:
        name: overfitting, underfitting, label-noise, leak or imbalance; the pipeline adds few-rows.
        message: What was seen, with the numbers.
        hint: What to change.
        rows: Split and row (from 1) of each row that shows it, the worst first.
    """

    name: str
    message: str
    hint: str
    rows: tuple[tuple[str, int], ...] = ()

    def called(self, numbers: Mapping[str, Sequence[int]]) -> Finding:
        """The same with rows by the numbers that they have where they were read, where a split has such."""
        rows = ((split, numbers[split][row - 1] if split in numbers else row) for split, row in self.rows)
        return replace(self, rows=tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"name": self.name, "message": self.message, "hint": self.hint, "rows": [list(row) for row in self.rows]}


@dataclass(frozen=True)
class Answers:
    """What a classifier answered on some rows of a split.

    Attributes:
        split: Name of the split.
        rows: Index of each row in its split, from 0.
        logits: Shape [rows, classes].
        labels: Indices of the true classes, shape [rows].
        inputs: What tells rows apart, one a row, equal for equal inputs.
    """

    split: str
    rows: Sequence[int]
    logits: np.ndarray
    labels: np.ndarray
    inputs: Sequence[bytes]

    @property
    def correct(self) -> np.ndarray:
        """Whether each row's highest logit is its label's."""
        right: np.ndarray = self.logits.argmax(axis=1) == self.labels
        return right


@dataclass(frozen=True)
class Evidence:
    """What a training left behind.

    Attributes:
        history: Of each evaluation `step`, `loss` and `metrics` (`FitReport.history`).
        deciding: The metric that the weights were chosen by.
        best_step: Step of the weights that were kept.
        steps: Steps in all.
        epochs: Passes over the training rows.
        train: Answers of the kept weights on training rows, or on a sample of them.
        validation: The same on all validation rows.
        seen: `Answers.inputs` of every training row, or of those that `validation` has, too.
        counts: Training rows of each class.
    """

    history: Sequence[Mapping[str, Any]]
    deciding: str
    best_step: int
    steps: int
    epochs: float
    train: Answers
    validation: Answers
    seen: frozenset[bytes]
    counts: Sequence[int]
    names: Sequence[str] = field(default=())


def diagnose(evidence: Evidence) -> list[Finding]:
    """Everything that is found, what spoils the most first."""
    looks = (_leak, _noise, _overfitting, _underfitting, _imbalance)
    return [finding for look in looks if (finding := look(evidence)) is not None]


def _leak(evidence: Evidence) -> Finding | None:
    held = evidence.validation
    both = [row for row, each in zip(held.rows, held.inputs, strict=True) if each in evidence.seen]
    if len(both) <= LEAK * len(held.rows):
        return None
    return Finding(
        "leak",
        f"{len(both)} of {len(held.rows)} validation rows are also in train: the metric includes rows that the model "
        "has memorised",
        "remove them from one of the two, or split by what they share",
        _named(held, both),
    )


def _noise(evidence: Evidence) -> Finding | None:
    """Labels that the model was taught and still contradicts with confidence.

    An answer is confident that is at least as sure as answers for its class are on the rows of that class on average
    (Northcutt et al. 2021, arXiv 1911.00068, equation 2).
    """
    answers = evidence.train
    probabilities = classification.probabilities(answers.logits)
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    own = probabilities[np.arange(len(said)), answers.labels]
    usual = np.asarray(
        [
            own[answers.labels == each].mean() if (answers.labels == each).any() else np.inf
            for each in range(probabilities.shape[1])
        ]
    )
    confident = sure >= usual[said]
    against = np.flatnonzero(confident & ~answers.correct)
    share, n = len(against) / len(said), len(said)
    if not len(against) or sure[confident].mean() < SURE or share - 2 * _deviation(share, n) <= NOISY:
        return None
    worst = sorted(against, key=lambda row: -sure[row])
    return Finding(
        "label-noise",
        f"{share:.1%} of the training rows have a label that the model is sure is wrong, although it was trained on it",
        "check the listed rows and correct their labels; label_smoothing: 0.1 softens what remains",
        _named(answers, [answers.rows[int(row)] for row in worst]),
    )


def _overfitting(evidence: Evidence) -> Finding | None:
    train, held = evidence.train.correct.mean(), evidence.validation.correct.mean()
    spread = _deviation(held, len(evidence.validation.rows))
    if train - held < max(APART, DEVIATIONS * spread):
        return None
    done = evidence.best_step / evidence.steps
    shorter = f"epochs: {max(0.1, round(evidence.epochs * done, 1)):g}" if done < 0.8 else "patience: 2"
    return Finding(
        "overfitting",
        f"{train:.1%} of the training rows are answered correctly, {held:.1%} of the validation rows"
        + (f", and no better than at step {evidence.best_step} of {evidence.steps}" if done < 0.8 else ""),
        f"more rows; {shorter}, dropout: 0.2, weight_decay: 0.1 or token_dropout: 0.1",
    )


def _underfitting(evidence: Evidence) -> Finding | None:
    """The training rows themselves are not learnt, or the last evaluation was still better by more than chance."""
    train, held = float(evidence.train.correct.mean()), float(evidence.validation.correct.mean())
    chance = max(evidence.counts) / max(1, sum(evidence.counts))
    spread = _deviation(held, len(evidence.validation.rows))
    if train < chance + 0.1 * (1 - chance):
        return Finding(
            "underfitting",
            f"{train:.1%} of the training rows are answered correctly; the largest class alone gives {chance:.1%}",
            "a learning_rate ten times higher or lower, more epochs, or unfreeze: all",
        )
    scores = [float(each["metrics"][evidence.deciding]) for each in evidence.history]
    if len(scores) > 1 and evidence.best_step == evidence.steps and scores[-1] - scores[-2] > spread:
        return Finding(
            "underfitting",
            f"{evidence.deciding} was still rising, from {scores[-2]:.3f} to {scores[-1]:.3f} at the last evaluation",
            f"epochs: {2 * evidence.epochs:g}, or a higher learning_rate",
        )
    return None


def _imbalance(evidence: Evidence) -> Finding | None:
    counts = [count for count in evidence.counts if count]
    if len(counts) < 2 or max(counts) < IMBALANCED * min(counts):
        return None
    smallest = int(np.argmin([count or math.inf for count in evidence.counts]))
    of = evidence.validation.labels == smallest
    recall = evidence.validation.correct[of].mean() if of.any() else None
    name = evidence.names[smallest] if evidence.names else str(smallest)
    told = "no validation row has this class" if recall is None else f"{recall:.0%} of its validation rows are found"
    return Finding(
        "imbalance",
        f"the largest class has {max(counts)} training rows, '{name}' {min(counts)}; {told}",
        "class_weights: balanced, more rows of this class, and a limit on f1_macro instead of accuracy",
    )


def _named(answers: Answers, rows: Sequence[int]) -> tuple[tuple[str, int], ...]:
    return tuple((answers.split, row + 1) for row in rows[:SHOWN])


def _deviation(share: float, n: int) -> float:
    """Of a share of n rows; one row's worth at least, for none wrong of few says little."""
    return math.sqrt(max(share * (1 - share), 1 / n) / n)
