"""A module of the user's own that a factory makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesft.errors import InputError
from edgesft.tasks.models import own
from edgesft.tasks.models.factory import Factory

NET = """
from torch import nn


class Net(nn.Linear):
    def forward(self, pixels):
        return super().forward(pixels)


def net():
    return Net(4, 2)
"""


def test_inputs_are_what_forward_takes_by_name(tmp_path: Path) -> None:
    (tmp_path / "ownnets.py").write_text(NET, "utf-8")
    with pytest.raises(InputError) as caught:
        own.load(Factory("ownnets:net", tmp_path))
    told = str(caught.value)
    assert "takes by name, pixels. Got x" in told and "inputs: [pixels]" in told
    assert own.load(Factory("ownnets:net", tmp_path, inputs=("pixels",))).config.factory == "ownnets:net"


VIT = """
from transformers import ViTConfig, ViTForImageClassification


def vit():
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, **sizes))
"""


def test_a_model_of_transformers_takes_any_name_and_reads_one(tmp_path: Path) -> None:
    (tmp_path / "ownvits.py").write_text(VIT, "utf-8")
    with pytest.raises(InputError, match=r"(?s)takes by name, pixel_values, .*Got x.*inputs: \[pixel_values\]"):
        own.load(Factory("ownvits:vit", tmp_path))
    assert own.load(Factory("ownvits:vit", tmp_path, inputs=("pixel_values",))).config.factory == "ownvits:vit"
