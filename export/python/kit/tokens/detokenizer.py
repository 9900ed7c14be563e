"""Text of tokens by a `tokenizer.json`, the same as the library tokenizers gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kit.errors import BrokenError
from kit.tokens import normaliser
from kit.tokens.pattern import compiled
from kit.tokens.vocabulary import byte_letters

Step = Callable[[list[str]], list[str]]

BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Detokenizer:
    """Makes text of tokens; special ones are left out."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Takes what `tokenizer.json` says.

        Raises:
            BrokenError: It has a part that this kit does not know.
        """
        self._names = {number: name for name, number in said["model"]["vocab"].items()}
        normalise = normaliser.steps(said["normalizer"])
        for each in said["added_tokens"]:
            text = normaliser.Text(each["content"], range(len(each["content"])))
            # The library tells names as it finds them.
            for step in normalise if each["normalized"] else ():
                text = step(text)
            self._names[each["id"]] = text.letters
        self._special = {each["id"] for each in said["added_tokens"] if each["special"]}
        self._steps = steps(said.get("decoder"))

    def __call__(self, tokens: Sequence[int]) -> str:
        """The text of tokens; what is half a character ends in U+FFFD."""
        words = [self._names[token] for token in tokens if token in self._names and token not in self._special]
        for step in self._steps:
            words = step(words)
        return "".join(words)


def steps(said: Mapping[str, Any] | None) -> list[Step]:
    """The steps of a tokenizer's `decoder`; where there is none, words stand apart.

    Raises:
        BrokenError: It has one that this kit does not know.
    """
    if said is None:
        return [lambda words: [" ".join(words)]]
    if said["type"] == "Sequence":
        return [step for each in said["decoders"] for step in steps(each)]
    if said["type"] not in KINDS:
        known = ", ".join([*KINDS, "Sequence"])
        raise BrokenError(f"tokenizer.json: decoder must be one of {known}, got {said['type']}")
    return [KINDS[said["type"]](said)]


def _of_bytes(said: Mapping[str, Any]) -> Step:
    bytes_of = {letter: byte for byte, letter in byte_letters().items()}

    def step(words: list[str]) -> list[str]:
        found = bytearray()
        for word in words:
            own = [bytes_of.get(letter) for letter in word]
            # A token that was added need not be of the letters that stand for bytes.
            found += word.encode() if None in own else bytes(byte for byte in own if byte is not None)
        return [found.decode("utf-8", "replace")]

    return step


def _replaced(said: Mapping[str, Any]) -> Step:
    pattern, content = compiled(said["pattern"]), said["content"]
    return lambda words: [pattern.sub(lambda _: content, word) for word in words]


def _spelled(said: Mapping[str, Any]) -> Step:
    """Tokens of a byte each become what they are together; where that is nothing, each is U+FFFD."""

    def step(words: list[str]) -> list[str]:
        found, held = list[str](), bytearray()

        def let_go() -> None:
            try:
                found.append(held.decode())
            except UnicodeDecodeError:
                found.extend("\ufffd" * len(held))
            held.clear()

        for word in words:
            byte = BYTE.fullmatch(word)
            if byte:
                held.append(int(byte[1], 16))
                continue
            let_go()
            found.append(word)
        let_go()
        return found

    return step


def _stripped(said: Mapping[str, Any]) -> Step:
    content, first, last = said["content"], said["start"], said["stop"]

    def strip(word: str) -> str:
        start, end = 0, len(word)
        while start < min(first, len(word)) and word[start] == content:
            start += 1
        while end > max(start, len(word) - last) and word[end - 1] == content:
            end -= 1
        return word[start:end]

    return lambda words: [strip(word) for word in words]


def _marked(said: Mapping[str, Any]) -> Step:
    """SentencePiece's: a letter stands for a blank, of which those of the first token were put there."""
    mark, put = said["replacement"], said.get("prepend_scheme", "always") != "never"

    def step(words: list[str]) -> list[str]:
        return [word.replace(mark, "" if put and place == 0 else " ") for place, word in enumerate(words)]

    return step


KINDS: Mapping[str, Callable[[Mapping[str, Any]], Step]] = {
    "ByteLevel": _of_bytes,
    "ByteFallback": _spelled,
    "Fuse": lambda _: lambda words: ["".join(words)],
    "Metaspace": _marked,
    "Replace": _replaced,
    "Strip": _stripped,
}
