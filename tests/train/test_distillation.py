from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.train.distillation import Student, TeacherObjective, hidden_widths, matched
from edgesft.train.losses import hidden_mse, soft_targets
from tests import tiny
from tests.train import mood
from tests.train.mood import Mood


def batch_of(task: Mood) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(array) for name, array in task.task.collate(task.train[:6], task.processor).items()}


def test_matched() -> None:
    assert matched(4, 7) == (0, 2, 4, 6)
    assert matched(3, 3) == (0, 1, 2)
    assert matched(2, 7) == (0, 6)
    assert matched(3, 6) == (0, 3, 5)


def test_objective_weighs_its_parts(task: Mood) -> None:
    student, teacher, batch = task.model().eval(), task.model(), batch_of(task)
    torch.nn.init.normal_(teacher.classifier.weight)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    logits, taught = student(**inputs).logits, teacher.eval()(**inputs).logits
    hard = nn.functional.cross_entropy(logits, batch["labels"], label_smoothing=0.1).item()
    soft = soft_targets(logits, taught, 3.0).item()

    def loss(hard_weight: float) -> float:
        objective = TeacherObjective(task.task, teacher, temperature=3.0, hard_weight=hard_weight, label_smoothing=0.1)
        return objective(student, batch).item()

    assert loss(1.0) == pytest.approx(hard)
    assert loss(0.0) == pytest.approx(soft)
    assert loss(0.3) == pytest.approx(0.3 * hard + 0.7 * soft)


def test_teacher_is_frozen_and_evaluated(task: Mood) -> None:
    teacher, student, batch = task.model().train(), task.model(), batch_of(task)
    objective = TeacherObjective(task.task, teacher, temperature=2.0, hard_weight=0.5)
    objective(student, batch).backward()
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert any(parameter.grad is not None for parameter in student.parameters())


def test_hidden_states_of_another_width(task: Mood, tmp_path: Path) -> None:
    narrow = mood.make(tiny.save_bert(tmp_path / "narrow", hidden=16, layers=1))
    student, teacher, batch = narrow.model(), task.model(), batch_of(task)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    widths, teacher_widths = hidden_widths(student, inputs), hidden_widths(teacher, inputs)
    assert (widths, teacher_widths) == ([16, 16], [32, 32, 32])
    trainee = Student(student, widths, teacher_widths, seed=3)
    assert [tuple(part.weight.shape) for part in trainee.projections] == [(32, 16), (32, 16)]
    assert torch.equal(
        trainee.projections[0].weight, Student(student, widths, teacher_widths, seed=3).projections[0].weight
    )
    assert {"projections.0.weight", "projections.1.weight"} <= set(trainee.state_dict())
    trainee.eval()

    objective = TeacherObjective(
        task.task, teacher, temperature=1.0, hard_weight=1.0, hidden=trainee.hidden_loss, hidden_weight=5.0
    )
    ours = student(**inputs, output_hidden_states=True)
    theirs = teacher(**inputs, output_hidden_states=True).hidden_states
    errors = [
        hidden_mse(ours.hidden_states[mine], theirs[other], inputs["attention_mask"], trainee.projections[mine])
        for mine, other in ((0, 0), (1, 2))
    ]
    expected = nn.functional.cross_entropy(ours.logits, batch["labels"]) + 5.0 * sum(errors) / 2
    loss = objective(trainee, batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert all(part.weight.grad.abs().sum() > 0 for part in trainee.projections)


def test_same_width_needs_no_projection(task: Mood) -> None:
    trainee = Student(task.model(), [32, 32, 32], [32, 32, 32], seed=0)
    assert not list(trainee.projections.parameters())
    states = [torch.randn(1, 2, 32) for _ in range(3)]
    assert trainee.hidden_loss(states, states, None).item() == 0.0


def test_model_without_hidden_states() -> None:
    class Bare(nn.Module):
        def forward(self, **inputs: Any) -> dict[str, torch.Tensor]:
            return {"logits": torch.zeros(1, 2)}

    with pytest.raises(InputError, match="hidden_weight: 0"):
        hidden_widths(Bare(), {})
