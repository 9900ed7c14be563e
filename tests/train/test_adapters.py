"""Low-rank adapters: what trains, and that nothing of them is left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from edgesft.errors import InputError
from edgesft.train.adapters import adapted
from tests import tiny
from tests.train.mood import SETTINGS, Mood

LORA = SETTINGS.model_copy(update={"unfreeze": "lora", "lora_rank": 2, "learning_rate": 1e-2})


def answers(task: Mood, model: nn.Module) -> torch.Tensor:
    batch = task.task.collate(task.validation[:8], task.processor)
    with torch.no_grad():
        found: torch.Tensor = model.eval()(
            **{name: torch.as_tensor(values) for name, values in batch.items() if name != "labels"}
        ).logits
    return found


def test_merged_it_answers_as_with_adapters(task: Mood) -> None:
    model = task.model()
    before, names = answers(task, model), set(model.state_dict())
    with adapted(model, LORA, 0):
        torch.testing.assert_close(answers(task, model), before)
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert all(".lora_" in name or name.startswith(("classifier", "bert.pooler")) for name in trained)
        for name, parameter in model.named_parameters():
            if ".lora_B" in name:
                nn.init.normal_(parameter)
        inside = answers(task, model)
    assert set(model.state_dict()) == names
    assert not torch.allclose(inside, before, atol=1e-2)
    torch.testing.assert_close(answers(task, model), inside, rtol=1e-4, atol=1e-5)


def test_learns_and_gives_the_same_weights_again(task: Mood, tmp_path: Path) -> None:
    known = task.model()
    task.fit(known, tmp_path / "known")
    # A tiny encoder of random weights has nothing that adapters could build on; this one knows the moods, swapped.
    with torch.no_grad():
        known.classifier.weight.neg_()
    assert task.accuracy(known) < 0.5
    found = []
    for folder in ("one", "other", "one"):
        model = task.model()
        model.load_state_dict(known.state_dict())
        task.fit(model, tmp_path / folder, settings=LORA)
        found.append(model.state_dict())
    assert task.accuracy(model) > 0.9
    changed = {name for name, tensor in found[0].items() if not torch.equal(tensor, known.state_dict()[name])}
    assert "bert.encoder.layer.0.attention.self.query.weight" in changed
    assert not any("embeddings" in name or "LayerNorm" in name for name in changed)
    assert all(torch.equal(tensor, each[name]) for each in found[1:] for name, tensor in found[0].items())


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5"])
def test_models_that_write_learn_by_adapters(kind: str, tmp_path: Path) -> None:
    """The linear layers of GPT-2 keep their weights the other way; T5 has layers in two places."""
    if kind == "t5":
        model = AutoModelForSeq2SeqLM.from_pretrained(tiny.save_t5(tmp_path))
    else:
        model = AutoModelForCausalLM.from_pretrained(tiny.save_decoder(tmp_path, kind))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    tokens = torch.arange(3, 11)[None]
    with adapted(model.train(), LORA, 0):
        optimizer = torch.optim.Adam((each for each in model.parameters() if each.requires_grad), 1e-2)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = model(input_ids=tokens, labels=tokens).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        inside = model(input_ids=tokens, labels=tokens).logits
    assert losses[-1] < losses[0]
    torch.testing.assert_close(model(input_ids=tokens, labels=tokens).logits, inside, rtol=1e-4, atol=1e-4)
    assert {name for name, _ in model.named_parameters()} == set(before)
    changed = {name for name, now in model.named_parameters() if not torch.equal(now, before[name])}
    products = {name for name, parameter in before.items() if parameter.ndim == 2 and re.search(r"\.\d+\.", name)}
    assert products - changed == {name for name in products if "relative_attention_bias" in name}
    assert not changed & {"model.embed_tokens.weight", "transformer.wte.weight", "shared.weight"}


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(InputError, match="list of layers"), adapted(nn.Linear(2, 2), LORA, 0):
        pass
