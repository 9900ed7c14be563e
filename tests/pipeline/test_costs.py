"""What a plan expects follows from what earlier steps took, and from nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgesft.cli.main import main
from edgesft.pipeline import costs
from edgesft.pipeline.check import check
from edgesft.pipeline.costs import Known
from edgesft.pipeline.forecast import forecast, total
from edgesft.pipeline.job import Job
from edgesft.progress import Progress
from edgesft.store.costs import FILE, MOST_BYTES, Cost, note, read
from edgesft.store.store import Store
from tests import chain

COST = Cost("finetune", 60.0, 1_000_000, 300.0, "model", 1000, "here")


@pytest.fixture
def job(tmp_path: Path, bert: Path) -> Job:
    checked = check(chain.write(tmp_path, bert))
    return Job(checked.recipe, checked.base, checked.profiles[0], Store(tmp_path / "store"), Progress(quiet=True))


def noted(job: Job, **changes: object) -> None:
    job.store.root.mkdir(exist_ok=True)
    own = {"model": job.facts["model"], "machine": Known(job).machine, "parameters": Known(job).parameters}
    note(job.store.root, replace(COST, **{**own, **changes}))


def test_nothing_is_known_at_first(job: Job) -> None:
    steps = forecast(job)
    assert all(step["seconds"] is None and step["bytes"] is None for step in steps)
    assert total(steps)["unknown"] == [step["name"] for step in steps]


def test_time_follows_what_there_is_to_do(job: Job) -> None:
    for seconds in (50.0, 60.0, 70.0):
        noted(job, seconds=seconds)
    found = Known(job).expected("finetune", 600.0)
    assert found is not None and found.seconds == 120.0 and found.bytes == 1_000_000
    assert found.basis == "3 earlier steps with this model"


def test_another_model_tells_by_its_parameters_and_a_far_larger_one_nothing(job: Job) -> None:
    ours = Known(job).parameters
    assert ours
    noted(job, model="other", parameters=ours // 2)
    found = Known(job).expected("finetune", 300.0)
    assert found is not None and found.seconds == pytest.approx(120.0, rel=0.01) and "other models" in found.basis
    noted(job, model="third", kind="prune", parameters=1000 * ours)
    assert Known(job).expected("prune", 300.0) is None


def test_another_machine_tells_nothing(job: Job) -> None:
    noted(job, machine="a faster one")
    assert Known(job).expected("finetune", 300.0) is None


def test_a_step_that_went_on_is_not_noted(job: Job, tmp_path: Path) -> None:
    work, store = tmp_path / "work", tmp_path / "store"
    for folder in (work, store):
        folder.mkdir()
    with costs.taken(job, "finetune", 1.0, work=work):
        pass
    assert len(read(store)) == 1
    (work / "checkpoint").write_text("half")
    with costs.taken(job, "finetune", 1.0, work=work):
        pass
    assert len(read(store)) == 1


def test_lines_that_are_no_costs_are_passed_over(tmp_path: Path) -> None:
    note(tmp_path, COST)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"kind": "half\n[1]\n{"another": "version"}\n')
    note(tmp_path, COST)
    assert list(read(tmp_path)) == [COST, COST]


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    line = json.dumps({"filler": "x" * 1000}) + "\n"
    (tmp_path / FILE).write_text(line * (MOST_BYTES // len(line) + 2))
    note(tmp_path, COST)
    assert (tmp_path / FILE).stat().st_size < 0.6 * MOST_BYTES and list(read(tmp_path)) == [COST]


def test_a_store_that_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    note(tmp_path / "not there", COST)
    assert read(tmp_path / "not there") == ()


def test_the_plan_says_what_it_takes(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(job.store.root))
    recipe = str(tmp_path / "recipe.yaml")
    assert main(["plan", recipe]) == 0
    out = capsys.readouterr().out
    assert "time and disk: unknown" in out and "GB free" in out
    for kind in ("finetune", "export", "evaluation"):
        noted(job, kind=kind, amount=100.0, seconds=10.0)
    assert main(["plan", recipe]) == 0
    out = capsys.readouterr().out
    # 300 rows 4 times, an export, and 100 validation rows.
    assert "about 140 s" in out.replace("2 min", "140 s") and "prune, distill, quantize" in out
    assert "by one earlier step with this model" in out
