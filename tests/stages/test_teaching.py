"""What a student is told to minimise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesft.spec.stages import DistillSpec, PruneSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages import teaching
from tests.stages.surroundings import context, small


@pytest.mark.parametrize(
    ("said", "mixup", "weight"), [({}, 0.0, 0.3), ({}, 0.5, 0.0), ({"hard_weight": 0.4}, 0.5, 0.4)]
)
def test_of_mixtures_only_the_teacher_knows_what_they_are(
    said: dict[str, float], mixup: float, weight: float, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(bert)
    given = replace(context(tmp_path, model), training=ResolvedTraining(mixup=mixup))

    def told(*_: Any, **options: Any) -> Any:
        return options

    monkeypatch.setattr(teaching, "TeacherObjective", told)
    lesson = DistillSpec(stage="distill", hidden_weight=0, **said)
    _, options = teaching.taught(lesson, model.model, model.model, given, label="distill")
    assert options["hard_weight"] == weight
    again = DistillSpec(**lesson.model_dump())
    _, options = teaching.taught(again, model.model, model.model, given, label="distill")
    assert options["hard_weight"] == weight, "what is written out is read as it was meant"
    _, options = teaching.taught(PruneSpec(stage="prune", latency=0.5), model.model, model.model, given, label="prune")
    assert options["hard_weight"] == (0.0 if mixup else 0.5)
