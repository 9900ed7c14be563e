"""A training that is watched: what TensorBoard reads, and that it is the same training."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from edgesft.cli.main import main
from edgesft.progress import Progress
from edgesft.train import engine
from tests import chain
from tests.train.mood import SETTINGS, Mood, digest


def trained(task: Mood, folder: Path, **changes: object) -> tuple[str, engine.FitReport]:
    """Digest of the weights and what the training says it did, with a log in the folder as a run has it."""
    folder.mkdir()
    model, progress = task.model(), Progress(quiet=True)
    progress.log(folder / "log.txt")
    settings = SETTINGS.model_copy(update=changes)
    report = task.fit(model, folder / "work", settings=settings, progress=progress, label="finetune: 3e-4")
    return digest(model), report


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs the package tensorboard")
def test_tensorboard_has_the_losses_and_the_metrics(task: Mood, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watched, report = trained(task, tmp_path / "watched", report_to=("tensorboard",))
    events = EventAccumulator(str(tmp_path / "watched" / "tensorboard" / "finetune-3e-4"))
    events.Reload()
    assert {"train/loss", "train/learning_rate", "eval/accuracy"} <= set(events.Tags()["scalars"])
    told = [round(event.value, 5) for event in events.Scalars("eval/accuracy")]
    assert told == [round(each["metrics"]["accuracy"], 5) for each in report.history]
    steps = {event.step: event.value for event in events.Scalars("train/loss")}
    assert all(steps[each["step"]] == pytest.approx(each["loss"], rel=1e-3) for each in report.history)
    assert trained(task, tmp_path / "alone")[0] == watched, "it is the same training"


def test_a_package_that_is_missing_is_said_beforehand(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("edgesft.pipeline.check.find_spec", lambda name: None if name == "mlflow" else find(name))
    recipe = str(chain.write(tmp_path, bert))
    assert main(["validate", recipe, "stages.finetune.report_to=[mlflow]"]) == 4
    assert "'report_to: mlflow' needs the package mlflow" in capsys.readouterr().err
    assert main(["validate", recipe, "stages.finetune.report_to=[tensorflow]"]) == 2


def test_watching_changes_no_key(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgesft.pipeline.check.find_spec", lambda name: name)
    recipe = str(chain.write(tmp_path, bert))
    plans = []
    for settings in ([], ["stages.finetune.report_to=[wandb]"]):
        assert main(["plan", recipe, "--format", "json", *settings]) == 0
        plans.append([line for line in capsys.readouterr().out.splitlines() if '"key"' in line])
    assert plans[0] == plans[1]
