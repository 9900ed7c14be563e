"""The diagnosis names a fault that was planted, and holds its tongue where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.tasks.base import Example
from edgesft.train.diagnosis import SHOWN, Answers, Evidence, Finding, diagnose
from edgesft.train.evidence import gather
from tests.train.mood import SETTINGS, Mood


def answers(split: str, n: int, right: float, *, unsure: float = 0.6, first: int = 0) -> Answers:
    """Of n rows of two classes that share is right, with probability 0.9; the others with `unsure`."""
    labels = np.arange(n) % 2
    wrong = np.arange(n) >= round(right * n)
    said, sure = np.where(wrong, 1 - labels, labels), np.where(wrong, unsure, 0.9)
    logits = np.zeros((n, 2))
    logits[np.arange(n), said] = np.log(sure / (1 - sure))
    return Answers(split, range(n), logits, labels, [f"{first + i}".encode() for i in range(n)])


def evidence(**changes: Any) -> Evidence:
    """Of a training with which nothing is wrong."""
    history = [{"step": step, "loss": 0.5, "metrics": {"accuracy": 0.9}} for step in (100, 200, 300)]
    train = answers("train", 20_000, 0.92)
    usual = Evidence(
        history, "accuracy", 200, 300, 3.0, train, answers("validation", 20_000, 0.9, first=10**6),
        frozenset(train.inputs), [10_000, 10_000],
    )  # fmt: skip
    return replace(usual, **changes)


def names(found: Sequence[Finding]) -> list[str]:
    return [finding.name for finding in found]


def test_nothing_wrong_is_nothing_said() -> None:
    assert diagnose(evidence()) == []


def test_rows_are_called_as_they_were_read() -> None:
    found = Finding("leak", "", "", (("train", 1), ("train", 3), ("validation", 2)))
    assert found.called({"train": [5, 7, 9]}).rows == (("train", 5), ("train", 9), ("validation", 2))


def test_overfitting() -> None:
    learnt = {"train": answers("train", 20_000, 1.0), "validation": answers("validation", 20_000, 0.85, first=10**6)}
    (found,) = diagnose(evidence(**learnt, best_step=100))
    assert found.name == "overfitting" and "no better than at step 100 of 300" in found.message
    assert (
        found.message.startswith("100.0% of the training rows are answered correctly, 85.0%")
        and "epochs: 1," in found.hint
    )
    (late,) = diagnose(evidence(**learnt, best_step=300))
    assert "step" not in late.message and "patience" in late.hint


def test_underfitting_on_its_own_rows() -> None:
    (found,) = diagnose(
        evidence(train=answers("train", 20_000, 0.51), validation=answers("v", 20_000, 0.5, first=10**6))
    )
    assert found.name == "underfitting" and "the largest class alone gives 50.0%" in found.message


def test_underfitting_that_more_epochs_would_mend() -> None:
    rising = [
        {"step": 100 * n, "loss": 1.0, "metrics": {"accuracy": score}} for n, score in enumerate((0.7, 0.8, 0.9), 1)
    ]
    (found,) = diagnose(evidence(history=rising, best_step=300))
    assert (
        found.name == "underfitting"
        and "still rising, from 0.800 to 0.900" in found.message
        and "epochs: 6" in found.hint
    )


def test_label_noise_lists_the_rows() -> None:
    noisy = answers("train", 20_000, 0.92, unsure=0.95)
    found = next(each for each in diagnose(evidence(train=noisy)) if each.name == "label-noise")
    assert len(found.rows) == SHOWN and found.rows[0] == ("train", 18_401)
    assert "8.0% of the training rows" in found.message
    opinion = replace(noisy, logits=noisy.logits * 0.1)
    assert "label-noise" not in names(diagnose(evidence(train=opinion)))
    assert "label-noise" not in names(diagnose(evidence(train=answers("train", 20_000, 0.97, unsure=0.95))))


def test_a_leak_names_the_rows() -> None:
    held = answers("validation", 20_000, 0.9, first=19_000)
    (found,) = diagnose(evidence(validation=held))
    assert found.name == "leak" and "1000 of 20000" in found.message and found.rows[0] == ("validation", 1)


def test_imbalance_tells_what_becomes_of_the_small_class() -> None:
    (found,) = diagnose(
        evidence(
            train=answers("train", 20_000, 1.0),
            validation=answers("v", 20_000, 0.99, first=10**6),
            counts=[19_900, 100],
            names=("usual", "rare"),
        )
    )
    assert found.name == "imbalance" and "'rare' 100" in found.message and "balanced" in found.hint


def diagnosed(task: Mood, work: Path, train: Sequence[Example], **changes: Any) -> dict[str, Finding]:
    model = task.model()
    settings = SETTINGS.model_copy(update={"token_dropout": 0.0, **changes})
    report = task.fit(model, work, train=train, settings=settings)
    held = task.validation
    found = gather(model, task.task, task.processor, train, held, report, epochs=settings.epochs, seed=0)
    assert found is not None
    return {each.name: each for each in diagnose(found)}


def flipped(examples: Sequence[Example], rows: Sequence[int]) -> list[Example]:
    return [{**each, "labels": 1 - each["labels"]} if row in rows else dict(each) for row, each in enumerate(examples)]


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_flipped_labels_are_found_in_a_real_training(task: Mood, tmp_path: Path, share: float) -> None:
    wrong = list(range(0, int(share * len(task.train)) * 5, 5))
    found = diagnosed(task, tmp_path, flipped(task.train, wrong), epochs=8.0)
    if not share:
        assert "label-noise" not in found
        return
    rows = [row - 1 for split, row in found["label-noise"].rows if split == "train"]
    assert rows and sum(row in wrong for row in rows) >= 0.9 * len(rows)


def test_a_leak_is_found_in_a_real_training(task: Mood, tmp_path: Path) -> None:
    found = diagnosed(task, tmp_path, [*task.train, *task.validation[:20]], epochs=1.0)
    assert ("validation", 1) in found["leak"].rows


def test_labels_by_chance_are_learnt_by_heart(task: Mood, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [{**each, "labels": np.asarray(rng.integers(2))} for each in task.train[:32]]
    found = diagnosed(task, tmp_path, noise, epochs=60.0, dropout=0.0, evaluations=1, weight_decay=0.0)
    assert "overfitting" in found
