"""A causal language model of transformers as the graph that is exported: its cache goes in and comes out. Imports
torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import nn

from edgesft.tasks.cache import KEPT, LOGITS, TOKENS, Shape, states


class Cached(nn.Module):
    """Takes `input_ids`, `logits_to_keep` and the cache's tensors by name, gives `logits` and the cache's new ones."""

    def __init__(self, model: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self._states = states(shape)
        names = (TOKENS, KEPT, *self._states)

        # torch.export wants arguments that have names, and how many there are is the model's to say.
        def forward(**inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            return self._answer(inputs)

        arguments = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
        forward.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
        self.forward = forward

    def _answer(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from transformers import DynamicCache

        past = [inputs[name] for name in self._states]
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        found = self.model(input_ids=inputs[TOKENS], past_key_values=cache, logits_to_keep=inputs[KEPT], use_cache=True)
        present = [tensor for layer in found.past_key_values.layers for tensor in (layer.keys, layer.values)]
        return {LOGITS: found.logits, **dict(zip(self._states.values(), present, strict=True))}


def continued(model: nn.Module, prompt: list[int], longest: int, stop: Sequence[int]) -> list[int]:
    """A prompt and what the model finds likeliest behind it, up to a stop token, which is the last.

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
