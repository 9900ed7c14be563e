"""How a tokenizer parts a text into words, of which each is looked up by itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kit.errors import BrokenError
from kit.tokens import characters
from kit.tokens.normaliser import Text

Split = Callable[[Text], Iterator[Text]]


def _ranges(told: str) -> str:
    """Ranges in hexadecimal as a class of a regular expression has them."""
    ends = [[int(end, 16) for end in part.split("-")] for part in told.split()]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, *_, last in ([*each, each[-1]] for each in ends))


SPACE, PUNCTUATION = _ranges(characters.SPACE), _ranges(characters.PUNCTUATION)

CONTRACTIONS = re.compile(r"'(?:s|t|re|ve|m|ll|d)")


def _matches(pattern: str) -> Callable[[], Split]:
    """Words that a pattern finds; what lies between them is gone."""

    def made() -> Split:
        compiled = re.compile(pattern)
        return lambda text: (text.cut(*found.span()) for found in compiled.finditer(text.letters))

    return made


def _group(letter: str) -> str:
    """What the pattern of GPT-2 tells apart: letters, numbers, blanks, others."""
    kind = unicodedata.category(letter)[0]
    # Python counts four control characters among the blanks that no other library does.
    return kind if kind in "LN" else "Z" if letter.isspace() and letter not in "\x1c\x1d\x1e\x1f" else "O"


def gpt2(letters: str) -> Iterator[tuple[int, int]]:
    r"""Places of the words by GPT-2's pattern, which Python's `re` cannot say.

    `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    """
    groups = [_group(letter) for letter in letters]
    place, end = 0, len(letters)
    while place < end:
        start = place
        if found := CONTRACTIONS.match(letters, place):
            place = found.end()
            yield start, place
            continue
        if letters[place] == " " and place + 1 < end and groups[place + 1] != "Z":
            place += 1
        kind = groups[place]
        while place < end and groups[place] == kind:
            place += 1
        # The last blank before a word is left to it, or stands alone.
        if kind == "Z" and place < end and place - start > 1:
            place -= 1
        yield start, place


def _words_of_bytes(said: Mapping[str, Any]) -> Split:
    """GPT-2's words, or the whole text where the pattern is not asked for; perhaps with a space before the first."""

    def split(text: Text) -> Iterator[Text]:
        if said["add_prefix_space"] and text.letters and not text.letters.startswith(" "):
            text = Text(f" {text.letters}", [text.origins[0] - 1, *text.origins])
        if not said.get("use_regex", True):
            yield text
            return
        yield from (text.cut(*span) for span in gpt2(text.letters))

    return split


def _chain(parts: list[Split]) -> Split:
    def split(text: Text) -> Iterator[Text]:
        pieces = [text]
        for part in parts:
            pieces = [word for piece in pieces for word in part(piece)]
        yield from pieces

    return split


KINDS: Mapping[str, Callable[[], Split]] = {
    "BertPreTokenizer": _matches(f"[{PUNCTUATION}]|[^{SPACE}{PUNCTUATION}]+"),
    "WhitespaceSplit": _matches(f"[^{SPACE}]+"),
}


def splitter(said: Mapping[str, Any] | None) -> Split:
    """A tokenizer's `pre_tokenizer`.

    Raises:
        BrokenError: It is one that this kit does not know.
    """
    if said is None:
        return lambda text: iter([text] if text.letters else [])
    kind = said["type"]
    if kind == "ByteLevel":
        return _words_of_bytes(said)
    if kind == "Sequence":
        return _chain([splitter(each) for each in said["pretokenizers"]])
    if kind not in KINDS:
        known = ", ".join([*KINDS, "ByteLevel", "Sequence"])
        raise BrokenError(f"tokenizer.json: pre_tokenizer must be one of {known}, got {kind}")
    return KINDS[kind]()
