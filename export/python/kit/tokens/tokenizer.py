"""Tokens of texts by a `tokenizer.json`, the same as the library tokenizers gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kit.errors import InputError
from kit.tokens.normaliser import SPACE, Text, steps
from kit.tokens.splitter import of_bytes, splitter
from kit.tokens.template import Place, added, template
from kit.tokens.vocabulary import lookup_of

NOWHERE = (-1, -1)


@dataclass
class Tokens:
    """Tokens of a text, or of one that special tokens were put around.

    Attributes:
        ids: Their numbers.
        type_ids: Which part of the whole each is of.
        covered: The characters of its text that each covers: the first, and the one behind the last; (-1, -1) for a
            special token that was put there.
        words: Which word of a list each is of; None for a special token, or where the text is no list.
        sequences: Which text each is of, 0 or 1; None for a special token.
    """

    ids: list[int] = field(default_factory=list)
    type_ids: list[int] = field(default_factory=list)
    covered: list[tuple[int, int]] = field(default_factory=list)
    words: list[int | None] = field(default_factory=list)
    sequences: list[int | None] = field(default_factory=list)

    @property
    def attention_mask(self) -> list[int]:
        """1 for each token: nothing is padded here."""
        return [1] * len(self.ids)

    def cut(self, start: int, end: int) -> Tokens:
        """Some of them."""
        return Tokens(*(each[start:end] for each in vars(self).values()))

    def add(self, ids: Sequence[int], covered: Sequence[tuple[int, int]], word: int | None) -> None:
        """Appends tokens of a text."""
        self.ids += ids
        self.covered += covered
        self.words += [word] * len(ids)
        self.sequences += [0] * len(ids)
        self.type_ids += [0] * len(ids)


@dataclass(frozen=True)
class Cut:
    """How long what comes out may be.

    Attributes:
        length: Of all tokens, special ones included; None for any.
        side: That is cut.
        stride: Tokens that two windows share.
    """

    length: int | None = None
    side: Literal["left", "right"] = "right"
    stride: int = 0


class Tokenizer:
    """Makes tokens of texts."""

    def __init__(self, said: Mapping[str, Any], *, split_special_tokens: bool = False) -> None:
        """Takes what `tokenizer.json` says.

        Args:
            said: Its object.
            split_special_tokens: Whether the name of a special token within a text is plain text.

        Raises:
            BrokenError: It has a part that this kit does not know.
        """
        self._steps = steps(said["normalizer"])
        self._split, self._lookup = (
            splitter(said["pre_tokenizer"]),
            lookup_of(said["model"], of_bytes=of_bytes(said["pre_tokenizer"])),
        )
        self._template = template(said["post_processor"])
        own = [each for each in said["added_tokens"] if each["content"]]
        if split_special_tokens:
            own = [each for each in own if not each["special"]]
        self._raw = _Names({each["content"]: each for each in own if not each["normalized"]})
        changed = {
            self._normalised(Text(each["content"], range(len(each["content"])))).letters: each
            for each in own
            if each["normalized"]
        }
        self._late = _Names(changed)

    def encode(self, text: str, cut: Cut = Cut()) -> Tokens:
        """A text's tokens with the special ones.

        Raises:
            InputError: The special ones alone are too many.
        """
        return self._single(self._tokens(text), cut)

    def plain(self, text: str) -> list[int]:
        """The numbers of a text's tokens without special ones around them."""
        return self._tokens(text).ids

    def encode_words(self, words: Sequence[str], cut: Cut) -> Tokens:
        """The same of a list of words; each token knows its word."""
        found = Tokens()
        for place, word in enumerate(words):
            part = self._tokens(word)
            found.add(part.ids, part.covered, place)
        return self._single(found, cut)

    def windows(self, first: str, second: str, cut: Cut) -> list[Tokens]:
        """Tokens of two texts; the second one in as many windows as it takes.

        Raises:
            InputError: The first one leaves no room for more than the stride.
        """
        one, other = self._tokens(first), self._tokens(second)
        if cut.length is None:
            return [self._around([one, other], self._template.pair)]
        room = cut.length - added(self._template.pair) - len(one.ids)
        if room <= cut.stride:
            raise InputError(f"the first text must leave more than {cut.stride} tokens for the second, got {room}")
        places = (self._template.pair, self._template.further)
        return [self._around([one, part], places[number > 0]) for number, part in enumerate(_parts(other, room, cut))]

    def _single(self, tokens: Tokens, cut: Cut) -> Tokens:
        if cut.length is not None:
            room = cut.length - added(self._template.single)
            if room < 0:
                raise InputError(
                    f"max_length must be at least {cut.length - room}, the special tokens; got {cut.length}"
                )
            count = len(tokens.ids)
            if count > room:
                tokens = tokens.cut(count - room, count) if cut.side == "left" else tokens.cut(0, room)
        return self._around([tokens], self._template.single)

    def _around(self, texts: Sequence[Tokens], places: Sequence[Place]) -> Tokens:
        """The tokens of one or two texts with the special ones around them."""
        found = Tokens()
        for place in places:
            own = texts[place.sequence] if place.sequence is not None else None
            ids = place.ids if own is None else own.ids
            found.ids += ids
            found.type_ids += [place.type_id] * len(ids)
            found.covered += [NOWHERE] * len(ids) if own is None else own.covered
            found.words += [None] * len(ids) if own is None else own.words
            found.sequences += [place.sequence] * len(ids)
        return found

    def _tokens(self, text: str) -> Tokens:
        found = Tokens()
        for piece, number in self._raw.parted(Text(text, range(len(text)))):
            if number is not None:
                found.add([number], [_span(piece, 0, len(piece.letters))], None)
                continue
            for part, own in self._late.parted(self._normalised(piece)):
                if own is not None:
                    found.add([own], [_span(part, 0, len(part.letters))], None)
                    continue
                for word in self._split(part):
                    tokens = self._lookup(word.letters)
                    found.add([each[0] for each in tokens], [self._covered(word, *each[1:]) for each in tokens], None)
        return found

    def _covered(self, word: Text, start: int, end: int) -> tuple[int, int]:
        if not self._template.trims:
            return _span(word, start, end)
        letters = word.letters[start:end]
        start, last = start + len(letters) - len(letters.lstrip(" ")), end - len(letters) + len(letters.rstrip(" "))
        return _span(word, start, last) if start < last else (word.origins[end - 1] + 1,) * 2

    def _normalised(self, text: Text) -> Text:
        for step in self._steps:
            text = step(text)
        return text


class _Names:
    """Tokens that are found by their name before anything else is made of a text: special ones, and added ones."""

    def __init__(self, names: Mapping[str, Mapping[str, Any]]) -> None:
        self._names = names
        # Of several that begin at one place, the longest.
        found = sorted((name for name in names if name), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def parted(self, text: Text) -> Iterator[tuple[Text, int | None]]:
        """Pieces of a text; each with its token's number, or None for what lies between."""
        letters, done = text.letters, 0
        for found in self._pattern.finditer(letters) if self._pattern else ():
            said, (start, end) = self._names[found[0]], found.span()
            inside = (start > 0 and _is_word(letters[start - 1])) or (end < len(letters) and _is_word(letters[end]))
            if start < done or (said["single_word"] and inside):
                continue
            while said["lstrip"] and start > done and letters[start - 1] in SPACE:
                start -= 1
            while said["rstrip"] and end < len(letters) and letters[end] in SPACE:
                end += 1
            if start > done:
                yield text.cut(done, start), None
            yield text.cut(start, end), said["id"]
            done = end
        if done < len(letters):
            yield text.cut(done, len(letters)), None


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _span(text: Text, start: int, end: int) -> tuple[int, int]:
    """The characters of the given text that some of a normalised one came from."""
    return text.origins[start], text.origins[end - 1] + 1


def _parts(tokens: Tokens, room: int, cut: Cut) -> Iterator[Tokens]:
    """Windows of at most so many tokens, of which two share the stride, until one reaches the end."""
    count, step = len(tokens.ids), room - cut.stride
    if count <= room:
        yield tokens
    elif cut.side == "right":
        for start in range(0, count - cut.stride, step):
            yield tokens.cut(start, min(start + room, count))
    else:
        for end in range(count, cut.stride, -step):
            yield tokens.cut(max(0, end - room), end)
