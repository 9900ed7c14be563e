"""Which tokens of a WordPiece tokenizer a task needs, and a tokenizer that knows no others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

FILE = "tokenizer.json"

KIND = "WordPiece"
"""The model whose tokens can be left out one by one: it takes the longest that there is. Others merge pairs, or weigh
all tokens of a word against each other."""


def kept(tokenizer: Any, used: Collection[int], others: float = 0.0) -> list[int] | None:
    """Ids of the tokens that stay.

    Besides those that are used: special ones, single characters and all that go on within a word, so that any word that
    had tokens still has some.

    Args:
        tokenizer: Of transformers.
        used: Ids that the training rows have.
        others: Share of all other tokens that stays as well, those of low ids: vocabularies list words as frequent as
            they were in pretraining, the most frequent first.

    Returns:
        Rising; None for a tokenizer of another kind.
    """
    said = _said(tokenizer)
    if said is None:
        return None
    model = said["model"]
    prefix, special = model["continuing_subword_prefix"], {added["id"] for added in said["added_tokens"]}
    vocabulary: Mapping[str, int] = model["vocab"]
    always = {number for token, number in vocabulary.items() if len(token) == 1 or token.startswith(prefix)}
    stay = (set(used) | special | always | {vocabulary[model["unk_token"]]}) & set(vocabulary.values())
    rest = sorted(set(vocabulary.values()) - stay)
    return sorted(stay | set(rest[: round(others * len(rest))]))


def without_others(tokenizer: Any, ids: Collection[int]) -> Any:
    """A WordPiece tokenizer that knows these tokens alone, by the same ids; nothing else of it differs."""
    stay = set(ids)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        place = Path(folder, FILE)
        said = json.loads(place.read_text("utf-8"))
        said["model"]["vocab"] = {token: number for token, number in said["model"]["vocab"].items() if number in stay}
        place.write_text(json.dumps(said, ensure_ascii=False), "utf-8")
        again = type(tokenizer).from_pretrained(folder, local_files_only=True)
    again.model_input_names = again.init_kwargs["model_input_names"] = list(tokenizer.model_input_names)
    return again


def _said(tokenizer: Any) -> dict[str, Any] | None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    said: dict[str, Any] = json.loads(backend.to_str())
    return said if said["model"]["type"] == KIND else None
