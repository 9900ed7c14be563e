"""Rows of generation as tokens: conversations through a chat template, prompts with answers, plain texts.

A conversation is split where answers begin and end, and each part is tokenised by itself: a prompt without its answer,
which is what a device sends, then has the same tokens as in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesft.data.checks import unwritable
from edgesft.errors import InputError, Problem

PLAIN = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ '\\n' }}{% endif %}{% endfor %}"
)
"""Chat template for models without one: a line per message, and the end token after each answer."""

ASSISTANT = "assistant"
ROLES = ("system", "user", ASSISTANT)

Message = Mapping[str, str]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A piece of a row.

    Attributes:
        text: As the template renders it.
        learned: Whether it is a target of training.
    """

    text: str
    learned: bool


def messages(row: Row) -> list[Message]:
    """The conversation of a row with its answers; for a prompt without an answer, the messages before it."""
    if "messages" in row:
        return list(row["messages"])
    asked = "\n\n".join(str(row[name]) for name in ("prompt", "context") if str(row.get(name) or "").strip())
    said: list[Message] = [{"role": "system", "content": str(row["system"])}] if row.get("system") else []
    said.append({"role": "user", "content": asked})
    return [*said, {"role": ASSISTANT, "content": str(row["answer"])}] if "answer" in row else said


def parts(row: Row, tokenizer: Any) -> Iterator[Part]:
    """A row, split where answers begin and end.

    Args:
        row: `text`, `messages`, or `prompt` and `answer`.
        tokenizer: Has the template.

    Raises:
        InputError: The template does not render it, or renders earlier messages differently once an answer follows.
    """
    if "text" in row:
        yield Part(str(row["text"]) + str(tokenizer.eos_token or ""), True)
        return
    said, done = messages(row), ""
    for number, message in enumerate(said):
        if message["role"] == ASSISTANT:
            before = rendered(said[:number], tokenizer, asked=True)
            after = rendered(said[: number + 1], tokenizer)
            if not (before.startswith(done) and after.startswith(before)):
                text = "data.template: must render what was said before an answer the same with and without it"
                raise InputError(text, "a template that only adds, without strip")
            yield Part(before[len(done) :], False)
            yield Part(after[len(before) :], True)
            done = after
    if not said or said[-1]["role"] != ASSISTANT:
        yield Part(rendered(said, tokenizer, asked=True)[len(done) :], False)


def rendered(said: Sequence[Message], tokenizer: Any, *, asked: bool = False) -> str:
    """A conversation as text; `asked` adds what the template puts before an answer.

    Raises:
        InputError: The template fails on it.
    """
    try:
        found: str = tokenizer.apply_chat_template(list(said), tokenize=False, add_generation_prompt=asked)
    except Exception as error:  # A template raises what it likes.
        raise InputError(
            f"data.template: must render every conversation, got: {error}", "data.template=plain"
        ) from error
    return found


def tokens(row: Row, tokenizer: Any, stop: Sequence[int]) -> tuple[list[int], list[bool]]:
    """The tokens of a row, and which of them are targets of training.

    They begin with the tokenizer's start token, if it has one. Of an answer, all tokens up to the first stop token are
    targets; where it has no stop token, one is added.

    Args:
        row: As of `parts`.
        tokenizer: Encodes.
        stop: Tokens that end an answer.
    """
    found: list[int] = []
    learned: list[bool] = []
    for part in parts(row, tokenizer):
        ids = tokenizer(part.text, add_special_tokens=False, verbose=False)["input_ids"]
        length = len(ids) if part.learned else 0
        if part.learned and stop:
            ends = [place for place, token in enumerate(ids) if token in stop]
            ids = ids if ends else [*ids, stop[0]]
            length = ends[0] + 1 if ends else len(ids)
        found += ids
        learned += [place < length for place in range(len(ids))]
    begin = [token for token in tokenizer("", verbose=False)["input_ids"] if token not in stop]
    if begin and found[: len(begin)] != begin:
        found, learned = [*begin, *found], [False] * len(begin) + learned
    return found, learned


def wrong(row: Row) -> Problem | None:
    """What is wrong with a row, and what to try."""
    if broken := next((name for name, text in _said(row) if unwritable(text)), None):
        return Problem(f"must have Unicode text as {broken}, got half of a surrogate pair", "remove such rows")
    if "messages" in row:
        return _wrong_messages(row["messages"])
    for name in ("text", "prompt", "answer", "input", "target"):
        if name in row and not (isinstance(row[name], str) and row[name].strip()):
            got = "nothing" if row[name] is None or isinstance(row[name], str) else f"{row[name]!r:.40}"
            return Problem(f"must have words as {name}, got {got}", "remove such rows, or fill them in")
    return None


def _said(row: Row) -> Iterator[tuple[str, str]]:
    """All texts of a row, each with where it stands."""
    said = row.get("messages")
    messages = [each for each in said if isinstance(each, Mapping)] if isinstance(said, list) else []
    for each in (row, *messages):
        yield from ((name, text) for name, text in each.items() if isinstance(text, str))


def _wrong_messages(said: Any) -> Problem | None:
    if not (isinstance(said, list) and said and all(isinstance(each, Mapping) for each in said)):
        return Problem(f"must have a list of messages, got {said!r:.60}", '[{"role": "user", "content": "…"}, …]')
    for each in said:
        if each.get("role") not in ROLES or not str(each.get("content") or "").strip():
            message = f"must have messages with a role of {', '.join(ROLES)} and content, got {dict(each)!r:.60}"
            return Problem(message, "remove such rows, or rename their roles")
    if not any(each["role"] == ASSISTANT for each in said):
        return Problem("must have an answer of the assistant, got none", "remove conversations without an answer")
    return None
