"""Prompts and conversations → the tokens that ask for an answer (export/BUNDLE.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kit.errors import BrokenError, InputError
from kit.tokens.tokenizer import Tokenizer

ASSISTANT = "assistant"


class Conversation:
    """Writes conversations as training did: by the table of a template, cut where answers begin and end."""

    def __init__(self, tokenizer: Tokenizer, said: Mapping[str, Any], stop: Sequence[int]) -> None:
        """Takes what the contract says.

        Args:
            tokenizer: Of the bundle.
            said: `preparation`.
            stop: Tokens that end an answer.
        """
        self._tokenizer, self._stop = tokenizer, list(stop)
        self._turns, self._trimmed = said.get("turns"), said.get("trimmed", [])
        self._begin = [token for token in tokenizer.encode("").ids if token not in stop]

    def __call__(self, row: Mapping[str, Any]) -> list[int]:
        """The tokens of a row: `messages`, or `prompt` and what stands beside it, or a `text` that is to go on.

        Raises:
            InputError: Nothing is asked, or the template has no such turns.
        """
        if "text" in row:
            found = self._tokenizer.plain(_words(row["text"]))
        else:
            found = [
                token for text, answer in self._parts(messages(row)) for token in self._tokens(text, answer=answer)
            ]
        begin = self._begin
        return found if begin and found[: len(begin)] == begin else [*begin, *found]

    def _tokens(self, text: str, *, answer: bool) -> list[int]:
        """Of a part; an answer ends where it would have stopped."""
        found = self._tokenizer.plain(text)
        if answer and self._stop and not set(self._stop) & set(found):
            return [*found, self._stop[0]]
        return found

    def _parts(self, said: Sequence[Mapping[str, str]]) -> list[tuple[str, bool]]:
        """Texts of a conversation up to where an answer begins, and whether each is an answer."""
        if self._turns is None:
            raise BrokenError("contract.json: preparation.turns must be there, got none: this template is no table")
        if said[-1]["role"] == ASSISTANT:
            raise InputError("messages must end with one that is not the assistant's, got its own")
        found, text, before = list[tuple[str, bool]](), "", "start"
        for each in said:
            role, words = each["role"], each["content"].strip() if each["role"] in self._trimmed else each["content"]
            join = self._join(before, role)
            # What ends an answer was written with it.
            text += join[len(self._join(ASSISTANT, "end")) :] if before == ASSISTANT else join
            if role == ASSISTANT:
                asked = self._join(before, "asked")
                found.append((text[: len(text) - len(join) + len(asked)], False))
                found.append((join[len(asked) :] + words + self._join(ASSISTANT, "end"), True))
                text = ""
            else:
                text += words
            before = role
        return [*found, (text + self._join(before, "asked"), False)]

    def _join(self, before: str, after: str) -> str:
        found = (self._turns or {}).get(before, {}).get(after)
        if found is None:
            raise InputError(f"messages must take turns that the template has, got {after} after {before}")
        return str(found)


def messages(row: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """The conversation of a row.

    Raises:
        InputError: Nothing is asked.
    """
    if "messages" in row:
        said = row["messages"]
        if not isinstance(said, list) or not said or not all(isinstance(each, Mapping) for each in said):
            raise InputError(f"messages must be a list of objects with role and content, got {said!r:.60}")
    elif "prompt" in row:
        asked = "\n\n".join(str(row[name]) for name in ("prompt", "context") if str(row.get(name) or "").strip())
        said = [{"role": "system", "content": row["system"]}] if row.get("system") else []
        said.append({"role": "user", "content": asked})
    else:
        raise InputError(f"a row must have 'prompt' or 'messages', got {', '.join(map(str, row))}")
    return [{"role": str(each.get("role")), "content": _words(each.get("content"))} for each in said]


def _words(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"a prompt must hold words, got {'none' if isinstance(value, str) else type(value).__name__}")
    return value.encode("utf-8", "replace").decode("utf-8")
