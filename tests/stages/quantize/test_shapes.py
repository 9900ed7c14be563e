"""A profile of fixed shapes: the export has them, and everything that feeds it pads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgesft.measure.model.facts import read_facts
from edgesft.measure.runner import answering
from edgesft.spec.stages import ExportSpec
from edgesft.stages import export
from edgesft.stages.artefact import Artefact
from tests.measure.models import profile
from tests.stages.surroundings import TASK, Small, context


def test_an_export_of_fixed_shapes_answers_every_row_as_before(
    tiny_model: Small, artefact: Artefact, tmp_path: Path
) -> None:
    around = context(tmp_path, tiny_model)
    around = replace(around, profile=around.profile.model_copy(update={"static_shapes": True}))
    assert artefact.origin is not None
    (tmp_path / "out").mkdir()
    report = export.run(ExportSpec(stage="export"), artefact.origin, tmp_path / "out", around)
    longest = artefact.contract.options["max_length"]
    assert report.details["fixed"] == {"model": {"batch": 1, "sequence": longest}}
    facts = read_facts(tmp_path / "out" / "model.onnx")
    assert set(facts.inputs.values()) == {(1, longest)} and "Shape" not in facts.operators
    answers = []
    for file in (artefact.model, tmp_path / "out" / "model.onnx"):
        with answering({"model": file}, profile()) as answer:
            answers.append(TASK.predict(answer, tiny_model.rows, tiny_model.processor))
    assert abs(answers[0] - answers[1]).max() < 1e-4
