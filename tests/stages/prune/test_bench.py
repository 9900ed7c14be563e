"""What a table of latencies is known by."""

from __future__ import annotations

import json
from pathlib import Path

from edgesft.stages.prune.bench import named
from edgesft.tasks.models.own import OwnConfig, OwnModel
from tests.stages.prune import models

SOURCE = """from torch import nn

def make(stride: int):
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=stride), nn.{after}())
"""


def test_a_model_of_another_stride_has_another_table(tmp_path: Path) -> None:
    module = tmp_path / "strided_net.py"
    module.write_text(SOURCE.format(after="ReLU"), "utf-8")
    one, other = (OwnModel(OwnConfig("strided_net:make", str(tmp_path), {"stride": stride})) for stride in (1, 2))
    assert named(one) != named(other)
    again = named(OwnModel(OwnConfig("strided_net:make", str(tmp_path), {"stride": 1})))
    assert named(one) == again and json.dumps(again)
    module.write_text(SOURCE.format(after="GELU"), "utf-8")
    assert named(one) != again, "the code is another"


def test_names_of_labels_and_folders_say_nothing_of_the_latency() -> None:
    one, other = models.build("bert"), models.build("bert")
    other.config.id2label, other.config._name_or_path = {0: "good", 1: "bad"}, "/elsewhere"
    assert named(one) == named(other)
    other.config.hidden_act = "relu"
    assert named(one) != named(other)
