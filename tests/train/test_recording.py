"""What is compared besides logits: relations between positions, and features of convolutional nets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.train.distillation import Relations, Student, TeacherObjective, hidden_widths
from edgesft.train.losses import related
from edgesft.train.objective import inputs_of
from edgesft.train.recording import answered, common_places, feature_places, features, last_attention, recording
from tests import tiny
from tests.stages.prune import models, nets
from tests.train import mood


class Strided(nets.Net):
    def build(self) -> None:
        self.one, self.two = nets.conv(16, 8, stride=2), nets.conv(8, 16, stride=2)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x))


def batch_of(task: mood.Mood, rows: int = 4) -> dict[str, torch.Tensor]:
    return {
        name: torch.as_tensor(value) for name, value in task.task.collate(task.train[:rows], task.processor).items()
    }


def test_what_was_read_and_answered_is_recorded_while_open() -> None:
    net = nets.build(Strided)
    with recording(net, ["two.0", "classifier"], features) as read, recording(net, ["one.0"], answered) as said:
        net(**nets.inputs(2))
    assert [tuple(each.shape) for each in read] == [(2, 4, 8), (2, 1, 16)]
    assert tuple(said[0].shape) == (2, 8, 2, 2)
    net(**nets.inputs(3))
    assert len(read) == 2 and len(read[0]) == 2


def test_features_are_told_where_images_shrink_and_before_the_head() -> None:
    net = nets.build(Strided)
    assert feature_places(net) == ("one.0", "two.0", "classifier")
    net.one[0] = nn.Identity()
    assert common_places(net, nets.build(Strided)) == ("two.0", "classifier")
    assert feature_places(nn.Sequential(nn.Linear(2, 2))) == ()


def test_a_convolution_that_makes_patches_has_no_features() -> None:
    vit = models.build("vit")
    assert common_places(vit, vit) == ()


def test_features_of_another_width_are_learnt() -> None:
    teacher, student = nets.build(Strided), nets.build(Strided)
    student.one, student.two[0] = nets.conv(16, 4, stride=2), nn.Conv2d(4, 16, 3, stride=2, padding=1)
    places, inputs = common_places(student, teacher), nets.inputs(6)
    widths, taught = (hidden_widths(net, inputs, places) for net in (student, teacher))
    assert (widths, taught) == ([16, 4, 16], [16, 8, 16])
    trainee = Student(student, widths, taught, 0)

    class Task:
        def loss(self, outputs, labels, **_):
            return torch.zeros(())

        def distributions(self, outputs, batch):
            return outputs["logits"]

        def divergence(self, ours, theirs):
            return None

    objective = TeacherObjective(
        Task(), teacher, temperature=1.0, hard_weight=1.0, hidden=trainee.hidden_loss, hidden_weight=1.0, places=places
    )
    batch, optimizer = {**inputs, "labels": torch.zeros(6)}, torch.optim.Adam(trainee.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        losses.append(objective(trainee, batch))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2


def test_relations_know_no_width_and_no_padding() -> None:
    torch.manual_seed(0)
    queries, mask = torch.randn(2, 5, 12), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    assert float(related([queries], [queries], mask, 4)) == pytest.approx(0, abs=1e-6)
    turned = queries @ torch.linalg.qr(torch.randn(12, 12)).Q
    assert float(related([turned], [queries], mask, 1)) == pytest.approx(0, abs=1e-5), "only relations are compared"
    narrow = torch.randn(2, 5, 8)
    apart = float(related([narrow], [queries], mask, 4))
    padded = queries.clone()
    padded[1, 3:] = 7.0
    assert apart > 0.05 and float(related([narrow], [padded], mask, 4)) == pytest.approx(apart)


def test_the_last_attention_that_is_left(bert: Path, tmp_path: Path) -> None:
    task = mood.make(bert, rows=80)
    teacher, student = task.model(), mood.make(tiny.save_bert(tmp_path / "narrow", hidden=16, heads=2), rows=80).model()
    assert last_attention(teacher)[0].endswith("layer.1.attention.self.query")
    found = Relations.of(student, teacher)
    assert found.heads == 16
    batch = batch_of(task)
    objective = TeacherObjective(
        task.task, teacher, temperature=1.0, hard_weight=1.0, relations=found, relation_weight=1.0
    )
    plain = TeacherObjective(task.task, teacher, temperature=1.0, hard_weight=1.0)
    loss = objective(student.eval(), batch)
    assert float(loss - plain(student, batch)) > 0
    loss.backward()
    assert student.get_submodule(found.student[0]).weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="relation_weight: needs attention.*got none"):
        last_attention(nn.Linear(2, 2))
    assert inputs_of(batch).keys() < batch.keys()
