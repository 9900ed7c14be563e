"""The cache of a decoder: keys and values of what was read, which the exported graph takes and gives.

The graph is one for all there is to do. `past_key_0` … are the cache, shape [batch, heads, past, width]: of length 0 at
the start. `input_ids` are the tokens that follow, one or many; `present_key_0` … are the cache with them in it, which
the next inference takes. `logits_to_keep` are the places, among the tokens fed, whose next token is asked for: of a
prompt the last alone, so that no scores are computed that nobody reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesft.tasks.base import Batch

TOKENS, KEPT = "input_ids", "logits_to_keep"
LOGITS = "logits"
KINDS = ("key", "value")

Shape = Mapping[str, int]
"""`layers`, `heads`, `width` of a cache."""


def shape_of(config: Mapping[str, Any]) -> dict[str, int]:
    """The cache that a transformers configuration implies; GPT-2's names are its own.

    Raises:
        KeyError: It tells no layers, heads or width.
    """
    layers = config["num_hidden_layers"] if "num_hidden_layers" in config else config["n_layer"]
    heads = config["num_attention_heads"] if "num_attention_heads" in config else config["n_head"]
    width = config["hidden_size"] if "hidden_size" in config else config["n_embd"]
    return {
        "layers": int(layers),
        "heads": int(config.get("num_key_value_heads") or heads),
        "width": int(config.get("head_dim") or width // heads),
    }


def states(shape: Shape) -> dict[str, str]:
    """Input → the output that becomes its value at the next inference."""
    names = [f"{kind}_{layer}" for layer in range(shape["layers"]) for kind in KINDS]
    return {f"past_{name}": f"present_{name}" for name in names}


def zeros(shape: Shape, rows: int, past: int) -> Batch:
    """A cache of so many tokens, all of one array."""
    blank = np.zeros((rows, shape["heads"], past, shape["width"]), np.float32)
    return dict.fromkeys(states(shape), blank)


def after(outputs: Mapping[str, np.ndarray], shape: Shape) -> Batch:
    """The cache that an inference left."""
    return {name: outputs[output] for name, output in states(shape).items()}
