from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from edgesft.errors import InputError
from edgesft.train import widths
from tests.train import pruned
from tests.train.mood import Mood


def rebuilt(model: nn.Module) -> nn.Module:
    """Through JSON and the state, as a file would."""
    found = json.loads(json.dumps(widths.record(model)))
    kept = widths.ties(model)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items() if name not in kept}
    fresh = type(model)(copy.deepcopy(model.config))
    widths.fit(fresh, state, found)
    return fresh.eval()


def same(model: nn.Module, other: nn.Module, **inputs: torch.Tensor) -> None:
    with torch.inference_mode():
        assert torch.equal(model.eval()(**inputs).logits, other(**inputs).logits)


def test_nothing_to_record_of_a_model_as_configured(task: Mood) -> None:
    assert widths.record(task.model()) == {}


def test_pruned_bert(task: Mood) -> None:
    model: Any = task.model()
    pruned.bert(model)
    attributes = widths.record(model)["attributes"]
    assert attributes["bert.encoder.layer.0.attention.self"] == {"num_attention_heads": 2, "all_head_size": 16}
    assert attributes["bert.encoder.layer.1.intermediate.dense"] == {"out_features": 24}
    assert not any("layer.1.attention" in name for name in attributes)
    again: Any = rebuilt(model)
    assert again.bert.encoder.layer[0].attention.self.query.out_features == 16
    same(model, again, input_ids=torch.tensor([[2, 5, 6, 3]]))


def test_pruned_vit_and_distilbert() -> None:
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    vit: Any = ViTForImageClassification(ViTConfig(**small, image_size=8, patch_size=4, num_labels=3))
    linears = {name: module for name, module in vit.named_modules() if isinstance(module, nn.Linear)}
    wide = next(name for name, module in linears.items() if module.out_features == 32)
    narrow = next(name for name, module in linears.items() if module.in_features == 32)
    vit.set_submodule(wide, pruned.shrink(linears[wide], outputs=8))
    vit.set_submodule(narrow, pruned.shrink(linears[narrow], inputs=8))
    same(vit, rebuilt(vit), pixel_values=torch.randn(2, 3, 8, 8))

    distil: Any = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=32, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=16)
    )
    part = distil.distilbert.transformer.layer[1].ffn
    part.lin1, part.lin2 = pruned.shrink(part.lin1, outputs=8), pruned.shrink(part.lin2, inputs=8)
    same(distil, rebuilt(distil), input_ids=torch.tensor([[1, 2, 3]]))


def test_pruned_convolution_and_batch_norm() -> None:
    torch.manual_seed(0)
    model: Any = ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=2)
    )
    first, second = model.resnet.encoder.stages[1].layers[0].layer
    keep = 6
    first.convolution.weight = nn.Parameter(first.convolution.weight[:keep].detach().clone())
    first.convolution.out_channels = keep
    norm = nn.BatchNorm2d(keep)
    norm.running_mean.uniform_(-1, 1)
    first.normalization = norm
    second.convolution.weight = nn.Parameter(second.convolution.weight[:, :keep].detach().clone())
    second.convolution.in_channels = keep
    again: Any = rebuilt(model)
    assert again.resnet.encoder.stages[1].layers[0].layer[0].normalization.num_features == keep
    same(model, again, pixel_values=torch.randn(2, 3, 16, 16))


def test_layer_norm_shape_is_a_tuple_again() -> None:
    class Block(nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.config = config
            self.norm = nn.LayerNorm(config)

    block = Block(8)
    block.norm = nn.LayerNorm(5)
    again: Any = rebuilt(block)
    assert again.norm.normalized_shape == (5,)
    assert again.norm(torch.randn(2, 5)).shape == (2, 5)


@pytest.mark.parametrize("tied", [True, False])
def test_ties(tied: bool) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    model: Any = BertForMaskedLM(config)
    if not tied:  # as when a pruner gave one side a tensor of its own
        decoder = model.cls.predictions.decoder
        decoder.weight = nn.Parameter(torch.randn_like(decoder.weight))
    assert ("ties" in widths.record(model)) is not tied
    again: Any = rebuilt(model)
    shared = again.cls.predictions.decoder.weight is again.bert.embeddings.word_embeddings.weight
    assert shared is tied
    same(model, again, input_ids=torch.tensor([[1, 2, 3]]))


def test_tie_that_the_configuration_does_not_know() -> None:
    class Two(nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.config = config
            self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)

    model = Two(None)
    model.two.weight = model.one.weight
    again: Any = rebuilt(model)
    assert again.two.weight is again.one.weight
    assert again.two.bias is not again.one.bias


def test_names_must_fit(task: Mood) -> None:
    state = task.model().state_dict()
    state["stranger"] = state.pop("classifier.bias")
    with pytest.raises(InputError, match=r"lacks the tensors classifier\.bias and has the unknown tensors stranger"):
        widths.fit(task.model(), state)
    with pytest.raises(InputError, match=r"unknown modules bert\.nowhere"):
        widths.fit(task.model(), task.model().state_dict(), {"attributes": {"bert.nowhere": {"in_features": 3}}})
