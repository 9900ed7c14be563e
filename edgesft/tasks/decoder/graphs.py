"""Language models of transformers as the graphs that are exported, with the cache as inputs and outputs. Imports
torch.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesft.tasks.decoder.cache import KEPT, KINDS, LOGITS, TOKENS, Shape, crossed, states

CROSSING = "decoder.block.{}.layer.1.EncDecAttention.{}"
"""Module of T5 and relatives that projects the encoder's output to keys (`k`) and values (`v`) of a layer."""


def cacheless(model: nn.Module) -> nn.Module:
    """Turns the cache off by default: with a cache, transformers would let packed rows attend to each other."""
    for part in model.modules():
        if hasattr(config := getattr(part, "config", None), "use_cache"):
            config.use_cache = False  # type: ignore[union-attr]
    return model


class Cached(nn.Module):
    """Takes `input_ids`, `logits_to_keep` and the cache's tensors by name, gives `logits` and the cache's new ones."""

    further: tuple[str, ...] = (KEPT,)
    """Inputs besides."""

    def __init__(self, model: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self._states = states(shape)
        names = (TOKENS, *self.further, *self._states)

        # torch.export wants arguments that have names, and how many there are is the model's to say.
        def forward(**inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            return self._answer(inputs)

        arguments = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
        forward.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
        self.forward = forward

    def _answer(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        cache = _cache(inputs, self._states)
        found = self.model(input_ids=inputs[TOKENS], past_key_values=cache, logits_to_keep=inputs[KEPT], use_cache=True)
        return self._told(found.logits, cache)

    def _told(self, logits: torch.Tensor, cache: Any) -> dict[str, torch.Tensor]:
        present = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
        return {LOGITS: logits, **dict(zip(self._states.values(), present, strict=True))}


class Crossed(Cached):
    """The decoder of a T5: takes `input_ids`, the encoder's keys and values and the cache's tensors by name; gives
    `logits` of every token and the new cache.
    """

    def __init__(self, model: nn.Module, shape: Shape) -> None:
        self.further = crossed(shape)
        alone = copy.copy(model)
        # Its own table of parts, from which the encoder is missing; the parts are the model's.
        vars(alone)["_modules"] = {name: part for name, part in model.named_children() if name != "encoder"}
        super().__init__(alone, shape)

    def _answer(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from transformers import EncoderDecoderCache

        read = inputs[self.further[0]]
        both = EncoderDecoderCache(_cache(inputs, self._states), _cache(inputs, self.further))
        found = self.model(
            # Not read, for its keys and values are there; masks take their shape of it.
            encoder_outputs=(read.transpose(1, 2).flatten(2),),
            decoder_input_ids=inputs[TOKENS],
            past_key_values=both,
            use_cache=True,
        )
        return self._told(found.logits, both.self_attention_cache)


class Reader(nn.Module):
    """The encoder of a T5: takes `input_ids`, gives keys and values for the cross-attention of each decoder layer."""

    def __init__(self, model: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.config = model.config
        self.encoder = model.encoder
        self._shape = shape
        self._places = [CROSSING.format(layer, kind[0]) for layer in range(shape["layers"]) for kind in KINDS]
        for place in self._places:
            _plant(self, place, model.get_submodule(place))

    def forward(self, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Keys and values, shape [rows, heads, tokens, width], of token ids, shape [rows, tokens]."""
        read = self.encoder(input_ids=input_ids).last_hidden_state
        split = (*read.shape[:2], self._shape["heads"], self._shape["width"])
        given = [self.get_submodule(place)(read).view(split).transpose(1, 2) for place in self._places]
        return dict(zip(crossed(self._shape), given, strict=True))


def _plant(root: nn.Module, place: str, part: nn.Module) -> None:
    """Puts a module below another one, under the name that it has in the model."""
    *path, last = place.split(".")
    for step in path:
        if step not in dict(root.named_children()):
            root.add_module(step, nn.Module())
        root = root.get_submodule(step)
    root.add_module(last, part)


def _cache(inputs: dict[str, torch.Tensor], names: Iterable[str]) -> Any:
    """Keys and values by layer; none for an empty cache."""
    from transformers import DynamicCache

    past = [inputs[name] for name in names if name in inputs]
    return DynamicCache(list(zip(past[::2], past[1::2], strict=True)))


def said(model: nn.Module, sources: np.ndarray, start: int, longest: int, stop: Sequence[int]) -> list[list[int]]:
    """Greedy answers of an encoder-decoder, each up to and with a stop token.

    Args:
        model: Of transformers, in evaluation mode.
        sources: Tokens that it reads, shape [rows, tokens].
        start: Token that answers begin with, which is left out.
        longest: Tokens at most.
        stop: Tokens that end an answer.
    """
    given = torch.as_tensor(sources, device=next(model.parameters()).device)
    settings = {"max_new_tokens": longest, "do_sample": False, "num_beams": 1, "use_cache": True}
    with torch.inference_mode():
        found = model.generate(
            given,
            attention_mask=torch.ones_like(given),
            decoder_start_token_id=start,
            eos_token_id=list(stop) or None,
            **settings,
        )
    return [_until(row, stop) for row in found[:, 1:].tolist()]


def _until(row: list[int], stop: Sequence[int]) -> list[int]:
    """The tokens up to and with the first stop token."""
    return row[: next((place for place, token in enumerate(row) if token in stop), len(row)) + 1]


def continued(model: nn.Module, prompt: list[int], longest: int, stop: Sequence[int]) -> list[int]:
    """A prompt with its greedy continuation, up to and with a stop token.

    Args:
        model: A causal language model, in evaluation mode.
        prompt: At least one token.
        longest: Tokens in all at most.
        stop: Tokens that end an answer.
    """
    from transformers import DynamicCache

    device, cache, found = next(model.parameters()).device, DynamicCache(), list(prompt)
    fed = torch.tensor([prompt], device=device)
    with torch.inference_mode():
        while len(found) < longest:
            scores = model(input_ids=fed, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            found.append(int(scores[0, -1].argmax()))
            if found[-1] in stop:
                break
            fed = torch.tensor([[found[-1]]], device=device)
    return found
