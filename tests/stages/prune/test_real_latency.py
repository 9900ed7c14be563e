"""Pruning pays in time on the clock, not only in parameters: both exports are measured beside each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesft.budget.ratio import ratio
from edgesft.measure.inputs import Requests
from edgesft.measure.protocol import measure
from edgesft.measure.subject import Subject
from edgesft.pipeline.rows import required
from edgesft.spec.profile import MeasureSpec
from edgesft.spec.stages import PruneSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.prune import stage
from edgesft.train import checkpoint
from tests import tiny
from tests.stages.surroundings import TASK, context, small

SPEC = PruneSpec(stage="prune", parameters=0.35, targets=("ffn",), importance="magnitude")
SETTINGS = MeasureSpec(samples=200, seconds=0.5, rounds=10, warmup_seconds=1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Artefact, Artefact]]:
    """The model before and after the stage, each as its torch artefact and its export."""
    home = tmp_path_factory.mktemp("latency")
    whole = small(tiny.save_bert(home / "bert", hidden=128, layers=2, heads=4, ffn=2048), 48)
    source = whole.save(home / "whole")
    short = ResolvedTraining(epochs=1, batch_size=16, learning_rate=1e-4, evaluations=1)
    stage.run(SPEC, source, home / "cut", replace(context(home / "work", whole), training=short))
    cut = replace(whole, model=checkpoint.load(home / "cut", TASK))
    return {
        "whole": (source, whole.export(home / "whole-onnx")),
        "cut": (Artefact("torch", home / "cut", "cut"), cut.export(home / "cut-onnx")),
    }


def test_parameters_and_the_file_shrink(pair: dict[str, tuple[Artefact, Artefact]]) -> None:
    (whole, whole_onnx), (cut, cut_onnx) = pair["whole"], pair["cut"]
    assert cut.parameters <= 0.35 * whole.parameters
    assert cut_onnx.model.stat().st_size < 0.5 * whole_onnx.model.stat().st_size


def test_the_measured_latency_falls(pair: dict[str, tuple[Artefact, Artefact]], tmp_path: Path) -> None:
    surroundings = context(tmp_path, small(pair["whole"][0].path, 48))
    requests = Requests(tuple(TASK.requests(surroundings.validation, surroundings.processor)), "rows")
    subjects = {
        name: Subject(onnx.model, surroundings.profile.providers, 1, requests) for name, (_, onnx) in pair.items()
    }
    found = {name: required(each) for name, each in measure(subjects, SETTINGS).items()}
    falls = ratio(found["cut"].rounds, found["whole"].rounds, 50)
    assert falls.upper is not None and falls.upper < 0.9, falls
