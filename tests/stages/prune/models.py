"""Tiny classifiers of several architectures with weights that all matter, and batches for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.layout import Layout

SHARED = {"vocab_size": 64, "max_position_embeddings": 32, "pad_token_id": 0}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def build(name: str, **sizes: int) -> nn.Module:
    """A classifier of two labels: bert, distilbert, roberta, electra, albert, mpnet, modernbert, llama, neox, gpt2 or
    vit.
    """
    import transformers as hf

    sizes = {**SIZES, **sizes}
    if name == "vit":
        config: Any = hf.ViTConfig(image_size=16, patch_size=4, **sizes)
        model_class: Any = hf.AutoModelForImageClassification
    else:
        model_class = hf.AutoModelForSequenceClassification
        if name == "distilbert":
            config = hf.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, **SHARED)
        else:
            kind = {"bert": hf.BertConfig, "roberta": hf.RobertaConfig, "mpnet": hf.MPNetConfig}
            kind |= {
                "modernbert": hf.ModernBertConfig,
                "llama": hf.LlamaConfig,
                "neox": hf.GPTNeoXConfig,
                "gpt2": hf.GPT2Config,
            }
            narrow = {"electra": hf.ElectraConfig, "albert": hf.AlbertConfig}
            config = (
                kind[name](**sizes, **SHARED) if name in kind else narrow[name](embedding_size=16, **sizes, **SHARED)
            )
    torch.manual_seed(0)
    model = model_class.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():  # fresh biases are 0 and fresh norms 1: no test would see them cut wrongly
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def inputs(model: nn.Module, rows: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    if model.config.model_type == "vit":
        return {"pixel_values": torch.randn(rows, 3, 16, 16, generator=generator)}
    mask = torch.ones(rows, 9, dtype=torch.long)
    mask[-1, 6:] = 0
    return {"input_ids": torch.randint(5, 64, (rows, 9), generator=generator), "attention_mask": mask}


def logits(outputs: Any) -> torch.Tensor:
    return outputs.logits


def layout_of(model: nn.Module, *kinds: str) -> Layout:
    layout = find_widths(model, trace(model, inputs(model), logits))
    return layout.only([width for width in layout.widths if not kinds or width.kind in kinds])


def answers(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs(model, 4)).logits


def random_scores(layout: Layout, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {width.name: rng.random(width.size) for width in layout.widths}


def by_size(asked):
    """A device whose latency is the bytes of the file."""

    def latency(files):
        asked.append(files)
        return [file.stat().st_size for file in files]

    return latency
