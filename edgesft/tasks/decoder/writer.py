"""The processor of text generation: a tokenizer with a chat template, the cache's shape and the stop tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesft.errors import InputError
from edgesft.tasks.decoder import cache, conversation
from edgesft.tasks.models import checkpoint


class Writer:
    """A tokenizer with the options of the contract that generation needs."""

    def __init__(self, tokenizer: Any, options: Mapping[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.cache: cache.Shape = options["cache"]
        self.stop: tuple[int, ...] = tuple(options["stop"])
        self.context: int = options["context"]
        self.max_length: int = options["max_length"]
        self.start: int = options.get("start", 0)
        self.prefix: str = options.get("prefix", "")
        if "template" in options:
            tokenizer.chat_template = options["template"]

    def __call__(self, *texts: Any, **options: Any) -> Any:
        """Encodes, as the tokenizer does."""
        return self.tokenizer(*texts, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "tokenizer":  # While it is unpickled there is none yet.
            raise AttributeError(name)
        return getattr(self.tokenizer, name)


def template(folder: Path, asked: str | None) -> str:
    """The chat template.

    Raises:
        InputError: The tokenizer has none, and is asked for its own.
    """
    if asked not in (None, "plain", "tokenizer"):
        return str(asked)
    beside = folder / "chat_template.jinja"
    told = checkpoint.read_json(folder / "tokenizer_config.json").get("chat_template")
    found = beside.read_text("utf-8") if beside.is_file() else told
    if asked == "tokenizer" and not isinstance(found, str):
        raise InputError("data.template: must be a template that the tokenizer has, got none", "plain, or one in Jinja")
    return found if isinstance(found, str) and asked != "plain" else conversation.PLAIN
