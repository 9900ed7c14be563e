from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from edgesft.errors import StageError
from edgesft.spec.stages import FinetuneSpec
from edgesft.stages import finetune, training
from edgesft.stages.context import StageContext
from edgesft.train import checkpoint, environment
from edgesft.train.engine import FitReport
from tests.train import mood


def test_learns_and_leaves_an_artefact(bert: Path, tmp_path: Path) -> None:
    task = mood.make(bert)
    artefact = task.artefact(task.model(), tmp_path / "pretrained")
    untouched = (artefact.path / "model.safetensors").read_bytes()
    out = tmp_path / "out"
    report = finetune.run(FinetuneSpec(stage="finetune"), artefact, out, task.context(tmp_path / "work"))

    tuned = checkpoint.load(out, task.task)
    assert task.accuracy(tuned) >= 0.95
    assert report.details["training"]["best"]["accuracy"] == task.accuracy(tuned)
    assert report.details["answered"] == {"rows": len(task.validation), "correct": task.accuracy(tuned)}
    assert report.summary.startswith("validation accuracy ")
    assert json.loads(json.dumps(report.details)) == report.details, "details are plain JSON"
    assert (artefact.path / "model.safetensors").read_bytes() == untouched
    assert (out / "contract.json").is_file()


def test_same_bytes_for_the_same_seed(bert: Path, tmp_path: Path) -> None:
    task = mood.make(bert, rows=80)
    artefact = task.artefact(task.model(), tmp_path / "pretrained")
    for name in ("one", "two"):
        finetune.run(FinetuneSpec(stage="finetune"), artefact, tmp_path / name, task.context(tmp_path / f"{name}-work"))
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


def test_a_rate_that_breaks_what_is_there_is_not_taken(bert: Path, tmp_path: Path) -> None:
    task = mood.make(bert, rows=80)
    artefact = task.artefact(task.model(), tmp_path / "pretrained")
    spec = FinetuneSpec(stage="finetune", learning_rates=(1e-8, 5e-3))
    report = finetune.run(spec, artefact, tmp_path / "out", task.context(tmp_path / "work"))
    tried = {each["rate"]: each["score"] for each in report.details["tried"]}
    assert report.details["learning_rate"] == max(tried, key=tried.__getitem__) == 5e-3
    assert task.accuracy(checkpoint.load(tmp_path / "out", task.task)) > tried[1e-8]


def test_a_rate_that_diverges_is_the_worst(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = mood.make(bert, rows=80)
    artefact = task.artefact(task.model(), tmp_path / "pretrained")
    plain = finetune.train

    def diverging(model: nn.Module, context: StageContext, **options: Any) -> FitReport:
        if context.training.learning_rate > 1e-2:
            raise StageError("training: the loss of step 1 is nan")
        return plain(model, context, **options)

    monkeypatch.setattr(finetune, "train", diverging)
    spec = FinetuneSpec(stage="finetune", learning_rates=(0.5, 5e-3))
    report = finetune.run(spec, artefact, tmp_path / "out", task.context(tmp_path / "work"))
    assert report.details["learning_rate"] == 5e-3 and report.details["tried"][0]["score"] is None
    assert json.loads(json.dumps(report.details, allow_nan=False)) == report.details
    with pytest.raises(StageError, match="step 1"):
        spec = FinetuneSpec(stage="finetune", learning_rates=(0.5, 0.1))
        finetune.run(spec, artefact, tmp_path / "other", task.context(tmp_path / "other-work"))


def test_the_number_format_is_found_once(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, known = mood.make(bert, rows=80), dict[str, Any]()

    def record(facts: Any, measure: Any) -> Any:
        key = json.dumps(facts)
        known[key] = known[key] if key in known else measure()
        return known[key]

    settings = mood.SETTINGS.model_copy(update={"arithmetic": "auto", "epochs": 0.5})
    context = task.context(tmp_path / "work", training=settings, record=record)
    found = []
    for speedup in (2.0, 0.5):
        monkeypatch.setattr(environment, "speedup", lambda speedup=speedup: speedup)
        found.append(training.train(task.model(), context, label="mood", work=tmp_path / f"{speedup}").arithmetic)
    assert found == ["bf16", "bf16"]


def test_of_rates_that_do_alike_the_lowest_is_taken() -> None:
    one, two, three = (finetune.Tried(rate, score, 0.02) for rate, score in ((1e-4, 0.80), (1e-3, 0.89), (1e-2, 0.90)))
    assert finetune.lowest_good([three, one, two]) == 1e-3
    assert finetune.lowest_good([one]) == 1e-4
    assert finetune.lowest_good([finetune.Tried(1e-6, None, 0.0), three]) == 1e-2
