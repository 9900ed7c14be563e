"""What the keys of steps depend on, and that a plan tells those of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesft.pipeline import models
from edgesft.pipeline.check import check
from edgesft.pipeline.forecast import forecast
from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker
from edgesft.pipeline.plan import plan
from edgesft.progress import Progress
from edgesft.store.store import Store
from tests import chain
from tests.tasks.models import test_onnx_file


def opened(recipe: Path, *settings: str) -> Job:
    checked = check(recipe, settings)
    store = Store(recipe.parent / "store")
    return Job(checked.recipe, checked.base, checked.profiles[0], store, Progress(quiet=True))


@pytest.fixture
def recipe(tmp_path: Path, bert: Path) -> Path:
    return chain.write(tmp_path, bert)


@pytest.mark.parametrize(("quantization", "apart"), [("none", False), ("int8-dynamic", True)])
def test_weights_of_7_bits_are_learned_for_machines_that_want_them(
    quantization: str, apart: bool, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, keys = opened(recipe, f"stages.finetune.quantization={quantization}"), set()
    for saturates in (False, True):
        monkeypatch.setattr(models, "saturates", lambda machine, found=saturates: found)
        keys.add(Maker(job).step_key(plan(job.recipe)[0], "start", None, None))
    assert len(keys) == 1 + apart


def test_a_plan_of_an_onnx_file_tells_the_run_s_keys(tmp_path: Path) -> None:
    stages = ({"stage": "optimize"}, {"stage": "quantize", "scheme": "auto"})
    job = opened(test_onnx_file.recipe(tmp_path, stages=stages))
    maker, (optimize, quantize, benchmark) = Maker(job), forecast(job)
    first, second, _ = plan(job.recipe)
    start = maker.start_key()
    assert (optimize["takes"], quantize["takes"], benchmark["takes"]) == ("onnx",) * 3
    assert optimize["key"] == maker.step_key(first, start, None, start)
    assert quantize["key"] == maker.step_key(second, optimize["key"], None, start)


def test_what_is_fine_tuned_is_held_against_nothing(recipe: Path) -> None:
    job = opened(recipe, "stages.finetune.quantization=auto", "stages.quantize.scheme=auto")
    maker, found = Maker(job), {step["name"]: step["key"] for step in forecast(job)}
    steps = {step.name: step for step in plan(job.recipe)}
    tuned = maker.step_key(steps["finetune"], maker.start_key(), None, None)
    assert found["finetune"] == tuned
    inserted = next(name for name in found if name.startswith("export"))
    reference = maker.export_key(tuned)
    assert found["quantize"] == maker.step_key(steps["quantize"], found[inserted], None, reference)
