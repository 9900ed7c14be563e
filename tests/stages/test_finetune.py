from __future__ import annotations

import json
from pathlib import Path

from edgesft.spec.stages import FinetuneSpec
from edgesft.stages import finetune
from edgesft.train import checkpoint
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


def test_of_rates_that_do_alike_the_lowest_is_taken() -> None:
    one, two, three = (finetune.Tried(rate, score, 0.02) for rate, score in ((1e-4, 0.80), (1e-3, 0.89), (1e-2, 0.90)))
    assert finetune.lowest_good([three, one, two]) == 1e-3
    assert finetune.lowest_good([one]) == 1e-4
