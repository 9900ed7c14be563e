"""Text end to end: a text → tokens → the model → its label. Runs in the agent's process; imports nothing of edgesft.

Exactly the arrays that the text task feeds: `tokenizer.json` holds the vocabulary, the normalisation and the special
tokens as transformers applied them when it saved the file, and the options hold the three things that it does not:
the longest input, the side that is cut, and whether special tokens in the text are split. Not covered: pairs of
texts, a tokenizer that exists only as Python code, and a `tokenizer.json` that transformers did not save and a
`tokenizer_config.json` beside it overrules (`do_lower_case`, `add_bos_token`): it is taken as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""Model input → attribute of the tokenizer's encoding."""


class Pipeline:
    """`{"text": …}` → token arrays, int64 of shape [1, tokens], unpadded; `logits` → `{"label": …, "score": …}`.

    Where the options have `accept_above`, the answer also says whether the text is of a known class: `known`.
    """

    def __init__(self, folder: str, options: Mapping[str, Any]) -> None:
        """Reads the tokenizer.

        Args:
            folder: Where `tokenizer.json` lies.
            options: `inputs` (names that the model takes), `labels` (class names in the order of the logits; empty
                where unknown), `max_length` (tokens, or None), `truncation_side` (or None), `split_special_tokens`,
                `temperature` and `accept_above` (or None).

        Raises:
            RuntimeError: This interpreter lacks `tokenizers`.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RuntimeError(
                f"the text pipeline needs the package tokenizers, which {sys.executable} cannot import ({error}). "
                f"Try: {sys.executable} -m pip install tokenizers"
            ) from error
        self._inputs, self._labels = list(options["inputs"]), list(options["labels"])
        self._temperature, self._least = options["temperature"], options["accept_above"]
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = options["split_special_tokens"]
        # The file also keeps the padding and the cut of the tokenizer's last use, of which only the side is for good.
        kept = self._tokenizer.truncation or {"direction": "right"}
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if options["max_length"] is not None:
            side = options["truncation_side"] or kept["direction"]
            self._tokenizer.enable_truncation(options["max_length"], direction=side)

    def before(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The model's feeds.

        Raises:
            ValueError: The row has no `text`.
        """
        try:
            text = row["text"]
        except (KeyError, TypeError):
            raise ValueError(f"a row of the text pipeline must have 'text', got {row!r}") from None
        encoding = self._tokenizer.encode(text)
        return {name: np.asarray([getattr(encoding, FIELDS[name])], np.int64) for name in self._inputs}

    def after(self, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The likeliest label and its probability (the class's index where labels are unknown), and if it is known.

        Raises:
            ValueError: The model has no output `logits`.
        """
        if "logits" not in outputs:
            raise ValueError(f"outputs of the text pipeline must have 'logits', got {', '.join(outputs)}")
        logits = outputs["logits"][0]
        best = int(logits.argmax())
        weights = np.exp((logits - logits[best]) / self._temperature)
        answer = {"label": self._labels[best] if self._labels else best, "score": float(1 / weights.sum())}
        if self._least is not None:
            known = logits[best] - logits.mean() + np.log(np.exp(logits - logits[best]).sum())
            answer["known"] = bool(known >= self._least)
        return answer
