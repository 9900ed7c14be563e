from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    ASTConfig,
    ASTForAudioClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from edgesft.errors import InputError
from edgesft.train import checkpoint, widths
from edgesft.train.layers import chosen_layers, evenly_spaced, keep_layers
from tests import tiny
from tests.train import mood


def test_evenly_spaced() -> None:
    assert evenly_spaced(3, 6) == (0, 3, 5)
    assert evenly_spaced(2, 12) == (0, 11)
    assert evenly_spaced(1, 6) == (0,)
    assert evenly_spaced(6, 6) == (0, 1, 2, 3, 4, 5)


def test_chosen() -> None:
    assert chosen_layers((1, 4), 6) == (1, 4)
    assert chosen_layers(2, 6) == (0, 5)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ((0, 6), "0 to 5"),
        ((-1,), "0 to 5"),
        (7, "1 to 6"),
        (0, "1 to 6"),
        ((), "indices"),
        ((2, 1), "rise"),
        ((1, 1), "once"),
    ],
)
def test_impossible_choices(wanted: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        chosen_layers(wanted, 6)


def test_dropped_layers_round_trip(tmp_path: Path) -> None:
    task = mood.make(tiny.save_bert(tmp_path / "bert", layers=4), rows=40)
    model: Any = task.model()
    second, last = model.bert.encoder.layer[1], model.bert.encoder.layer[3]
    keep_layers(model, (1, 3))
    assert list(model.bert.encoder.layer) == [second, last]
    assert [layer.attention.self.layer_idx for layer in model.bert.encoder.layer] == [0, 1]
    assert widths.record(model) == {}, "the configuration tells it all"
    checkpoint.save(model, tmp_path / "out", task.processor, task.contract)
    again: Any = checkpoint.load(tmp_path / "out", task.task)
    assert again.config.num_hidden_layers == 2
    assert mood.digest(again) == mood.digest(model)


def test_other_architectures() -> None:
    distil: Any = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=32, dim=16, n_layers=3, n_heads=2, hidden_dim=16, max_position_embeddings=16)
    )
    keep_layers(distil, (0, 2))
    assert distil.config.n_layers == len(distil.distilbert.transformer.layer) == 2
    assert distil(input_ids=torch.tensor([[1, 2]])).logits.shape == (1, 2)

    small = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    vit: Any = ViTForImageClassification(ViTConfig(**small, image_size=8, patch_size=4))
    before = sum(parameter.numel() for parameter in vit.parameters())
    keep_layers(vit, (1,))
    assert vit.config.num_hidden_layers == 1
    assert sum(parameter.numel() for parameter in vit.parameters()) < before
    assert vit(pixel_values=torch.zeros(1, 3, 8, 8)).logits.shape == (1, 2)

    ast: Any = ASTForAudioClassification(ASTConfig(**small, num_mel_bins=16, max_length=32))
    keep_layers(ast, (0, 2))
    assert ast.config.num_hidden_layers == len(ast.audio_spectrogram_transformer.layers) == 2
    assert ast(input_values=torch.zeros(1, 32, 16)).logits.shape == (1, 2)


def test_models_without_layers() -> None:
    with pytest.raises(InputError, match="num_hidden_layers"):
        keep_layers(ResNetForImageClassification(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1])), (0,))

    class Odd(nn.Module):
        class config:
            num_hidden_layers = 2

    with pytest.raises(InputError, match="found none in Odd"):
        keep_layers(Odd(), (0,))
