"""What a new head starts from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.train.head import imprint
from tests.train.mood import SETTINGS, Mood


def start(task: Mood, model: nn.Module, classes: int = 2) -> None:
    imprint(model, classes, task=task.task, processor=task.processor, train=task.train, settings=SETTINGS, seed=0)


def test_a_head_of_means_tells_classes_before_any_step(task: Mood, tmp_path) -> None:
    model = task.model()
    task.fit(model, tmp_path)
    with torch.no_grad():
        model.classifier.weight.normal_()
        model.classifier.bias.fill_(9.0)
    assert task.accuracy(model) < 0.8
    start(task, model)
    assert task.accuracy(model) > 0.9


def test_what_has_no_such_head_is_refused(task: Mood) -> None:
    with pytest.raises(InputError, match="linear head"):
        start(task, task.model(), classes=7)
