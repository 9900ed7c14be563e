from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesft.errors import StageError
from edgesft.progress import Progress
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_classification import TextClassification
from edgesft.train import engine
from edgesft.train.objective import task_objective
from tests.train import mood
from tests.train.mood import SETTINGS, Mood, digest

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.train import mood

real, saved = torch.save, 0

def save(value, file, *args, **kwargs):
    global saved
    saved += 1
    if saved == 8:  # three files a checkpoint: in the midst of the third
        Path(file).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    real(value, file, *args, **kwargs)

torch.save = save
task = mood.make(Path(sys.argv[1]))
task.fit(task.model(), Path(sys.argv[2]))
"""


def test_weights_of_7_bits_are_another_training(task: Mood) -> None:
    model, settings = task.model(), SETTINGS.model_copy(update={"quantization": "int8-dynamic"})
    prints = {
        engine._fingerprint(model, settings.model_copy(update={"reduced": reduced}), "fp32", 0, 1, 1)
        for reduced in (False, True)
    }
    assert len(prints) == 2


class Stop(Exception):
    pass


def stopping(task: Mood, after: int) -> Any:
    """The task's objective, which ends the process's training after so many calls."""
    usual, calls = task_objective(task.task), [0]

    def objective(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > after:
            raise Stop
        return usual(model, batch)

    return objective


@pytest.fixture(scope="module")
def whole(task: Mood, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, engine.FitReport]:
    """Digest and report of a training that nothing interrupted."""
    model = task.model()
    report = task.fit(model, tmp_path_factory.mktemp("whole"))
    return digest(model), report


def test_learns(task: Mood, whole: tuple[str, engine.FitReport], tmp_path: Path) -> None:
    model, losses, usual = task.model(), list[float](), task_objective(task.task)

    def noting(*given: Any) -> torch.Tensor:
        loss = usual(*given)
        losses.append(loss.item())
        return loss

    before = task.accuracy(model)
    report = task.fit(model, tmp_path, objective=noting)
    assert before < 0.8
    assert task.accuracy(model) >= 0.95
    assert report.best["accuracy"] == task.accuracy(model)
    assert report.steps == 60
    assert [entry["step"] for entry in report.history] == [20, 40, 60]
    assert [entry["loss"] for entry in report.history] == [
        pytest.approx(np.mean(losses[start : start + 20])) for start in (0, 20, 40)
    ]
    assert losses[-1] < losses[0]
    assert report.arithmetic == "fp32"
    assert digest(model) == whole[0], "the same seed must give the same bytes"


def test_seed_matters(task: Mood, tmp_path: Path) -> None:
    short = SETTINGS.model_copy(update={"epochs": 0.3})
    digests = []
    for seed in (1, 2):
        model = task.model()
        task.fit(model, tmp_path / str(seed), settings=short, seed=seed)
        digests.append(digest(model))
    assert digests[0] != digests[1]


def test_killed_while_a_checkpoint_is_written(task: Mood, whole: tuple[str, engine.FitReport], tmp_path: Path) -> None:
    root = Path(mood.__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(task.source), str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        timeout=300,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (tmp_path / "checkpoint-40").is_dir()
    assert (tmp_path / "partial" / "checkpoint-60" / "model.safetensors").is_file()

    seen = []
    model = task.model()
    usual = task_objective(task.task)
    report = task.fit(model, tmp_path, objective=lambda *given: seen.append(1) or usual(*given))
    assert len(seen) == 20, "only the steps after the last whole checkpoint"
    assert digest(model) == whole[0]
    assert (report.best, report.best_step, report.history) == (whole[1].best, whole[1].best_step, whole[1].history)


@pytest.mark.parametrize(("after", "each_step"), [(3, False), (33, False), (33, True), (59, True)])
def test_goes_on_to_the_same_bytes(
    task: Mood, whole: tuple[str, engine.FitReport], tmp_path: Path, after: int, each_step: bool
) -> None:
    settings = SETTINGS.model_copy(update={"checkpoint_minutes": 1e-9}) if each_step else SETTINGS
    with pytest.raises(Stop):
        task.fit(task.model(), tmp_path, settings=settings, objective=stopping(task, after))
    assert (tmp_path / f"checkpoint-{after}").is_dir() is each_step
    model = task.model()
    report = task.fit(model, tmp_path, settings=settings)
    assert digest(model) == whole[0]
    assert report.history == whole[1].history


def test_goes_on_in_bf16_with_warm_up_and_cosine(task: Mood, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(
        update={"arithmetic": "bf16", "schedule": "cosine", "epochs": 2, "checkpoint_minutes": 1e-9}
    )
    first, second = task.model(), task.model()
    report = task.fit(first, tmp_path / "whole", settings=settings)
    with pytest.raises(Stop):
        task.fit(task.model(), tmp_path / "parts", settings=settings, objective=stopping(task, 7))
    task.fit(second, tmp_path / "parts", settings=settings)
    assert report.arithmetic == "bf16"
    assert {weight.dtype for weight in first.parameters()} == {torch.float32}
    assert digest(first) == digest(second)


def test_damaged_leftovers_are_ignored(task: Mood, whole: tuple[str, engine.FitReport], tmp_path: Path) -> None:
    leftover = tmp_path / "checkpoint-50"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    model = task.model()
    task.fit(model, tmp_path)
    assert digest(model) == whole[0]
    assert not leftover.exists()


def test_another_training_is_not_resumed(task: Mood, whole: tuple[str, engine.FitReport], tmp_path: Path) -> None:
    task.fit(task.model(), tmp_path, settings=SETTINGS.model_copy(update={"learning_rate": 1e-4}))
    model = task.model()
    task.fit(model, tmp_path)
    assert digest(model) == whole[0]


class Scripted(TextClassification):
    """Scores as told, and remembers the weights it scored."""

    def __init__(self, model: nn.Module, scores: Sequence[float]) -> None:
        self.model, self.scores, self.digests = model, list(scores), list[str]()

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        self.digests.append(digest(self.model))
        return {"accuracy": self.scores[len(self.digests) - 1], "f1_macro": 0.0}


@pytest.mark.parametrize(("scores", "best"), [((0.5, 0.9, 0.7), 1), ((0.9, 0.9, 0.7), 1), ((0.9, 0.2, 0.1), 0)])
def test_best_weights_are_restored(task: Mood, tmp_path: Path, scores: tuple[float, ...], best: int) -> None:
    model = task.model()
    scripted = Scripted(model, scores)
    report = task.fit(model, tmp_path, task=scripted, settings=SETTINGS.model_copy(update={"epochs": 1}))
    assert len(set(scripted.digests)) == 3
    assert digest(model) == scripted.digests[best]
    assert report.best["accuracy"] == max(scores)
    assert report.best_step == report.history[best]["step"]


def test_the_last_weights_stay_where_that_is_asked(task: Mood, tmp_path: Path) -> None:
    model = task.model()
    scripted = Scripted(model, (0.5, 0.9, 0.7))
    settings = SETTINGS.model_copy(update={"epochs": 1, "selection": "last"})
    report = task.fit(model, tmp_path, task=scripted, settings=settings)
    assert digest(model) == scripted.digests[-1] and report.best["accuracy"] == 0.7
    assert report.best_step == report.steps


def test_fraction_of_an_epoch(task: Mood, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 0.25, "evaluations": 5})
    report = task.fit(task.model(), tmp_path, settings=settings)
    assert report.steps == 3
    assert [entry["step"] for entry in report.history] == [1, 2, 3]


def test_divergence_is_an_error(task: Mood, tmp_path: Path) -> None:
    usual = task_objective(task.task)
    with pytest.raises(StageError, match="learning rate"):
        task.fit(task.model(), tmp_path / "loss", objective=lambda *given: usual(*given) * float("inf"))

    def last_gradient_explodes(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        # Finite itself, but the square root's gradient at 0 is not.
        return usual(model, batch) + (next(model.parameters()).sum() * 0).sqrt()

    settings = SETTINGS.model_copy(update={"epochs": 0.1})
    with pytest.raises(StageError, match="weight after step 1"):
        task.fit(task.model(), tmp_path / "last", settings=settings, objective=last_gradient_explodes)


def test_leaves_the_process_as_it_was(task: Mood, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = task.model()
    config = model.config.to_dict()
    capfd.readouterr()
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    task.fit(model, tmp_path, settings=SETTINGS.model_copy(update={"epochs": 0.1}))
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert np.random.get_state()[1].tolist() == states[2]
    assert not torch.are_deterministic_algorithms_enabled()
    assert model.config.to_dict() == config
    assert capfd.readouterr() == ("", "")


def test_progress_counts_the_steps(task: Mood, tmp_path: Path) -> None:
    class Counting(Progress):
        def bar(self, label: str, total: int, done: int = 0) -> Any:
            from contextlib import nullcontext

            self.label, self.total, self.done, self.shown = label, total, done, set[str]()

            def advance(steps: int = 1, **figures: object) -> None:
                self.done += steps
                self.shown |= set(figures)

            return nullcontext(advance)

    progress = Counting(quiet=True)
    settings = SETTINGS.model_copy(update={"epochs": 1, "checkpoint_minutes": 1e-9})
    with pytest.raises(Stop):
        task.fit(task.model(), tmp_path, settings=settings, objective=stopping(task, 4), progress=progress)
    assert (progress.label, progress.total, progress.done) == ("mood", 10, 4)
    task.fit(task.model(), tmp_path, settings=settings, progress=progress)
    assert progress.done == 10, "a resumed bar starts where it was"
    assert progress.shown >= {"loss", "learning_rate", "accuracy"}


def test_runner_gives_named_arrays(task: Mood) -> None:
    model = task.model().train()
    batch = task.task.collate(task.validation[:3], task.processor)
    batch.pop("labels")
    first, second = engine.runner(model)(batch), engine.runner(model)(batch, "model")
    assert first["logits"].shape == (3, 2)
    assert first["logits"].dtype == np.float32
    np.testing.assert_array_equal(first["logits"], second["logits"])
    assert model.training, "the model's mode is as it was"
