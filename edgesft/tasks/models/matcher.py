"""An encoder that scores a text by how near it is to the text of each label. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

SCALE = 20.0
"""What cosines are multiplied with before softmax, as sentence-transformers has it in its ranking loss."""

UNSEEN = -1.0e4
"""Score, in training, of a class that has no training rows: it must not learn to be wrong."""


class Matcher(nn.Module):
    """Texts and labels go through one encoder; `logits` are their cosines, scaled, of shape [rows, classes].

    Attributes:
        config: Of the encoder; besides, `label_tokens` (token ids of each label's text) and `seen` (whether each
            label has training rows).
    """

    def __init__(self, config: Any, body: nn.Module | None = None) -> None:
        """Makes the encoder that the configuration describes, unless it is given."""
        super().__init__()
        from transformers import AutoModel

        self.config = config
        self.body = AutoModel.from_config(config, attn_implementation="eager") if body is None else body
        if getattr(self.body, "pooler", None) is not None:
            self.body.pooler = None
        ids, mask = _padded(config.label_tokens, config.pad_token_id or 0)
        self.register_buffer("label_ids", ids)
        self.register_buffer("label_mask", mask)
        self.register_buffer("seen", torch.tensor(config.seen))

    def forward(self, output_hidden_states: bool = False, **inputs: torch.Tensor) -> dict[str, Any]:
        """Scores of every class; the encoder's hidden states of the texts where they are asked for."""
        outputs = self.body(**inputs, output_hidden_states=output_hidden_states)
        texts = pooled(outputs["last_hidden_state"], inputs["attention_mask"])
        logits = SCALE * texts @ self.labels().T
        if self.training:
            logits = logits.masked_fill(~self.seen, UNSEEN)
        return {"logits": logits, **({"hidden_states": outputs["hidden_states"]} if output_hidden_states else {})}

    def labels(self) -> torch.Tensor:
        """The labels' vectors, shape [classes, width]; constants where nothing is trained."""
        with torch.set_grad_enabled(self.training and torch.is_grad_enabled()):
            outputs = self.body(input_ids=self.label_ids, attention_mask=self.label_mask)
            return pooled(outputs["last_hidden_state"], self.label_mask)


class Scorer(nn.Module):
    """What a device runs: the labels' vectors are constants."""

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self.body, self.config = matcher.body, matcher.config
        with torch.no_grad():
            self.register_buffer("vectors", matcher.eval().labels().T.clone() * SCALE)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Scores of every class."""
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        outputs = self.body(input_ids=input_ids, attention_mask=attention_mask, **kinds)
        return {"logits": pooled(outputs["last_hidden_state"], attention_mask) @ self.vectors}


def pooled(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of the states that are no padding, of length 1 (Reimers and Gurevych 2019, arXiv 1908.10084).

    Args:
        states: Shape [rows, tokens, width].
        mask: Shape [rows, tokens].
    """
    weights = mask.to(states.dtype).unsqueeze(-1)
    return functional.normalize((states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0), dim=-1)


def _padded(rows: Sequence[Sequence[int]], value: int) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask
