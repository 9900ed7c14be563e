"""The key-value cache of a decoder, as inputs and outputs of the exported graph.

One graph serves prompts and single tokens. `past_key_0` … are the cache, shape [batch, heads, past, width], of length 0
at the start. `input_ids` are the tokens that follow it, one or many; `present_key_0` … are the cache with these tokens,
which the next inference takes. `logits_to_keep` are the positions among the tokens fed for which the next token's
scores are computed: of a prompt only the last.

A decoder with an encoder also takes `cross_key_0` …: the encoder's keys and values, shape [batch, heads, source,
width]. They do not change from token to token; a graph of its own computes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesft.errors import InputError
from edgesft.tasks.base import Batch

TOKENS, KEPT = "input_ids", "logits_to_keep"
LOGITS = "logits"
KINDS = ("key", "value")

Shape = Mapping[str, int]
"""`layers`, `heads`, `width` of a cache."""

LAYERS = ("num_decoder_layers", "num_hidden_layers", "num_layers", "n_layer")
HEADS = ("num_key_value_heads", "num_attention_heads", "num_heads", "n_head")
WIDTH = ("head_dim", "d_kv")
"""Names of the cache's sizes in configurations, GPT-2's and T5's among them; the first one present counts."""


def shape_of(config: Mapping[str, Any]) -> dict[str, int]:
    """The cache that a transformers configuration implies.

    Raises:
        KeyError: It has no number of layers, heads or width.
    """
    told = {name: config[name] for name in config if config[name]}

    def first(names: Sequence[str]) -> int:
        return int(told[next((name for name in names if name in told), names[-1])])

    width = first(WIDTH) if told.keys() & {*WIDTH} else first(("hidden_size", "n_embd")) // first(HEADS[1:])
    return {"layers": first(LAYERS), "heads": first(HEADS), "width": width}


def require(config: Mapping[str, Any], shape: Shape) -> None:
    """That a model's cache is the one that it came with.

    Args:
        config: The model's.
        shape: Of the cache that it came with.

    Raises:
        InputError: It is not.
    """
    if (got := shape_of(config)) != shape:
        message = f"stages: must leave the cache as it was, {dict(shape)}, got {got}"
        raise InputError(message, "leave out distill.layers, and use a smaller pretrained model as the student")


def states(shape: Shape) -> dict[str, str]:
    """Input → the output that becomes its value at the next inference."""
    return {f"past_{name}": f"present_{name}" for name in _names(shape)}


def crossed(shape: Shape) -> tuple[str, ...]:
    """Names of the encoder's outputs, which are inputs of its decoder."""
    return tuple(f"cross_{name}" for name in _names(shape))


def _names(shape: Shape) -> list[str]:
    return [f"{kind}_{layer}" for layer in range(shape["layers"]) for kind in KINDS]


def zeros(shape: Shape, rows: int, past: int) -> Batch:
    """A cache of so many tokens filled with zeros."""
    return dict.fromkeys(states(shape), _blank(shape, rows, past))


def unread(shape: Shape, rows: int, source: int) -> Batch:
    """Keys and values of an encoder for so many tokens, filled with zeros."""
    return dict.fromkeys(crossed(shape), _blank(shape, rows, source))


def _blank(shape: Shape, rows: int, tokens: int) -> np.ndarray:
    return np.zeros((rows, shape["heads"], tokens, shape["width"]), np.float32)


def after(outputs: Mapping[str, np.ndarray], shape: Shape) -> Batch:
    """The cache that an inference left."""
    return {name: outputs[output] for name, output in states(shape).items()}
