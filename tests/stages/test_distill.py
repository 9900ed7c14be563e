from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft.errors import InputError
from edgesft.spec.stages import DistillSpec
from edgesft.stages import distill, training
from edgesft.stages.artefact import RANGES, Artefact
from edgesft.train import checkpoint, distillation
from edgesft.train.objective import ROWS
from tests import tiny
from tests.train import mood
from tests.train.mood import Mood


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Mood:
    return mood.make(tiny.save_bert(tmp_path_factory.mktemp("deep"), layers=3))


@pytest.fixture(scope="module")
def teacher(task: Mood, tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    model = task.model()
    folder = tmp_path_factory.mktemp("teacher")
    assert task.fit(model, folder / "work").best["accuracy"] >= 0.95
    return task.artefact(model, folder / "model")


def spec(**values: Any) -> DistillSpec:
    return DistillSpec(stage="distill", **values)


def test_shallow_student_learns_from_the_teacher_alone(task: Mood, teacher: Artefact, tmp_path: Path) -> None:
    student = task.artefact(task.model(), tmp_path / "untrained")
    before = task.accuracy(checkpoint.load(student.path, task.task))
    out = tmp_path / "out"
    context = task.context(tmp_path / "work", teacher=teacher)
    report = distill.run(spec(layers=2, hard_weight=0.0), student, out, context)

    learned: Any = checkpoint.load(out, task.task)
    assert before < 0.8 <= 0.95 <= task.accuracy(learned)
    assert learned.config.num_hidden_layers == len(learned.bert.encoder.layer) == 2
    assert report.details["layers"] == (0, 2)
    assert "layers 0, 2 kept" in report.summary
    json.dumps(report.details)


def test_narrow_student_and_killed_training(
    task: Mood, teacher: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = mood.make(tiny.save_bert(tmp_path / "bert", hidden=16, layers=1))
    student = narrow.artefact(narrow.model(), tmp_path / "untrained")
    settings = mood.SETTINGS.model_copy(update={"epochs": 2, "checkpoint_minutes": 1e-9})

    def run(name: str) -> bytes:
        context = narrow.context(tmp_path / f"{name}-work", teacher=teacher, training=settings)
        distill.run(spec(), student, tmp_path / name, context)
        return (tmp_path / name / "model.safetensors").read_bytes()

    whole = run("whole")
    usual, calls = distillation.Student.hidden_loss, [0]

    def stopping(*given: Any) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 7:
            raise KeyboardInterrupt
        return usual(*given)

    with monkeypatch.context() as patch:
        patch.setattr(distillation.Student, "hidden_loss", stopping)
        with pytest.raises(KeyboardInterrupt):
            run("parts")
    assert (tmp_path / "parts-work" / "checkpoint-7").is_dir()
    assert run("parts") == whole, "the projections must be resumed too"
    assert not any("projection" in name for name in checkpoint.load(tmp_path / "parts", task.task).state_dict())


def test_hidden_weight_zero_needs_no_hidden_states(
    task: Mood, teacher: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distillation, "hidden_widths", None)
    student = task.artefact(task.model(), tmp_path / "untrained")
    settings = mood.SETTINGS.model_copy(update={"epochs": 0.1})
    context = task.context(tmp_path / "work", teacher=teacher, training=settings)
    distill.run(spec(hidden_weight=0), student, tmp_path / "out", context)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_what_cannot_work(task: Mood, teacher: Artefact, tmp_path: Path) -> None:
    student = task.artefact(task.model(), tmp_path / "student")

    def refused(given: Artefact | None, **values: Any) -> str:
        with pytest.raises(InputError) as caught:
            distill.run(spec(**values), student, tmp_path / "out", task.context(tmp_path / "work", teacher=given))
        return str(caught.value)

    assert "got none" in refused(None)
    assert "0 to 2" in refused(teacher, layers=(0, 3))
    assert "1 to 3" in refused(teacher, layers=4)
    assert "torch" in refused(replace(teacher, form="onnx"))
    other = tmp_path / "other"
    contract = replace(task.contract, labels=("negative", "neutral"))
    checkpoint.save(task.model(), other, task.processor, contract)
    assert "['negative', 'neutral']" in refused(Artefact("torch", other, "other"))


def test_ranges_that_were_learned_lie_beside_the_student(task: Mood, teacher: Artefact, tmp_path: Path) -> None:
    student = task.artefact(task.model(), tmp_path / "untrained")
    settings = mood.SETTINGS.model_copy(update={"quantization": "int8-static", "epochs": 0.1})
    context = task.context(tmp_path / "work", teacher=teacher, training=settings)
    for hidden, out in ((0.0, tmp_path / "plain"), (1.0, tmp_path / "wrapped")):
        distill.run(spec(hidden_weight=hidden), student, out, replace(context, work=tmp_path / f"work-{hidden}"))
        found = json.loads((out / RANGES).read_text())
        assert {"classifier", "bert.encoder.layer.0.attention.self.query"} <= set(found)
        assert all(low < high for low, high in found.values())


def test_a_teacher_answers_once_where_rows_are_learnt_as_they_are(
    task: Mood, teacher: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, asked = task.artefact(task.model(), tmp_path / "untrained"), []
    plain = training.runner

    def counting(model: torch.nn.Module, *_: Any) -> Any:
        def run(feeds: Any, graph: str = "model") -> Any:
            asked.append(graph)
            return plain(model)(feeds)

        return run

    monkeypatch.setattr(training, "runner", counting)
    context = task.context(tmp_path / "work", teacher=teacher, training=mood.SETTINGS.without_noise())
    distill.run(spec(hidden_weight=0), student, tmp_path / "out", context)
    known = torch.from_numpy(np.load(tmp_path / "work" / training.ANSWERS))
    assert known.shape == (len(task.train), 2) and len(asked) == -(-len(task.train) // training.BATCH)

    model, rows = task.model(), [7, 3, 11]
    collated = task.task.collate([task.train[row] for row in rows], task.processor)
    batch = {name: torch.as_tensor(value) for name, value in {**collated, ROWS: rows}.items()}
    options = {"temperature": 2.0, "hard_weight": 0.3}
    whole = checkpoint.load(teacher.path, task.task)
    told = distillation.TeacherObjective(task.task, known, **options)(model.eval(), batch)
    torch.testing.assert_close(told, distillation.TeacherObjective(task.task, whole, **options)(model, batch))

    noisy = replace(context, training=context.training.model_copy(update={"token_dropout": 0.1}))
    assert training.answers(whole, noisy, "distill") is whole


def test_layers_are_compared_as_the_map_says(task: Mood, teacher: Artefact, tmp_path: Path) -> None:
    student = task.artefact(task.model(), tmp_path / "untrained")
    context = task.context(tmp_path / "work", teacher=teacher)
    for wrong in ((0, 1), (0, 1, 2, 9)):
        with pytest.raises(InputError, match=r"layer_map: must have 4 numbers.*from 0 to 3\. Got"):
            distill.run(spec(layer_map=wrong), student, tmp_path / "out", context)
    told = distill.run(spec(layer_map=(0, 3, 3, 3), relation_weight=1.0), student, tmp_path / "out", context)
    plain = distill.run(spec(), student, tmp_path / "plain", task.context(tmp_path / "work-2", teacher=teacher))
    assert told.details["training"]["history"] != plain.details["training"]["history"]


@pytest.mark.parametrize(
    ("small", "fall", "chosen"), [(60, 0.02, "int8-dynamic"), (60, 0.001, "none"), (99, 0.02, "none")]
)
def test_int8_is_trained_for_where_it_was_measured_to_pay_and_to_cost(
    task: Mood, teacher: Artefact, tmp_path: Path, small: int, fall: float, chosen: str
) -> None:
    student, asked = task.artefact(task.model(), tmp_path / "untrained"), []
    sizes: list[int] = []

    def evaluate(file: Path) -> dict[str, float]:
        sizes.append(file.stat().st_size)
        return {"accuracy": 0.9 if sizes[-1] == max(sizes) else 0.9 - fall}

    def latency(files: Any) -> list[int]:
        asked.append([file.stat().st_size for file in files])
        return [100, small]

    settings = mood.SETTINGS.model_copy(update={"quantization": "auto", "epochs": 1.0})
    context = task.context(
        tmp_path / "work", teacher=teacher, training=settings, latency=latency, evaluate=evaluate, allowance=0.01
    )
    report = distill.run(spec(), student, tmp_path / "out", context)
    assert report.details["quantization"] == chosen
    assert len(set(sizes)) == (2 if small == 60 else 0), "the student as it is, and rounded"
    assert len(asked) == 1 and asked[0][1] < asked[0][0]
    assert not (tmp_path / "work/int8").exists()
    again = replace(context, latency=None)  # what was measured once is remembered
    distill.run(spec(), student, tmp_path / "again", again)


@pytest.mark.parametrize(("asked", "mixed", "epochs"), [("auto", 0.5, 4.0), ("auto", 0.0, 2.0), (0.5, 0.5, 2.0)])
def test_a_student_learns_for_longer_where_rows_are_found_to_be_worth_mixing(
    task: Mood, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Any, mixed: float, epochs: float
) -> None:
    monkeypatch.setattr(
        distill.invariance,
        "settled",
        lambda given, *_: replace(given, training=given.training.model_copy(update={"mixup": mixed})),
    )
    settings = mood.SETTINGS.model_copy(update={"mixup": asked, "epochs": 2.0})
    context = task.context(tmp_path, training=settings)
    assert distill.lengthened(spec(mixup="auto", mixed_epochs=2.0), context, context.contract).training.epochs == epochs


def test_what_may_stand_for_what_is_read_from_the_teacher(
    task: Mood, teacher: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, plain = [], distill.train

    def watched(*given: Any, reader: torch.nn.Module, **options: Any) -> Any:
        seen.append(reader.state_dict())
        return plain(*given, reader=reader, **options)

    monkeypatch.setattr(distill, "train", watched)
    student = task.artefact(task.model(), tmp_path / "untrained")
    distill.run(spec(), student, tmp_path / "out", task.context(tmp_path / "work", teacher=teacher))
    theirs = checkpoint.load(teacher.path, task.task).state_dict()
    assert all(torch.equal(seen[0][name], theirs[name]) for name in theirs)
