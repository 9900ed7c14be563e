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
