"""How a tokenizer parts a text into words, of which each is looked up by itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kit.errors import BrokenError
from kit.tokens import characters
from kit.tokens.normaliser import Text, prepended
from kit.tokens.pattern import SPACE, compiled, ranges

Split = Callable[[Text], Iterator[Text]]


PUNCTUATION = ranges(characters.PUNCTUATION)

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


def _at_pattern(said: Mapping[str, Any]) -> Split:
    """Words between what a pattern finds; that is gone, a word of its own, or part of a neighbour."""
    found_by, behaviour = compiled(said["pattern"]), said["behavior"]
    if behaviour not in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext"):
        raise BrokenError(f"tokenizer.json: pre_tokenizer Split must not have the behavior {behaviour}")

    def split(text: Text) -> Iterator[Text]:
        spans = list(_spans(found_by.finditer(text.letters), len(text.letters)))
        if said.get("invert"):
            spans = [(start, end, not found) for start, end, found in spans]
        yield from (text.cut(start, end) for start, end in _merged(spans, behaviour) if start < end)

    return split


def _spans(found: Iterator[re.Match[str]], length: int) -> Iterator[tuple[int, int, bool]]:
    """All of a text: what was found, and what lies between."""
    done = 0
    for each in found:
        start, end = each.span()
        if done < start:
            yield done, start, False
        if start < end:
            yield start, end, True
        done = end
    if done < length:
        yield done, length, False


def _merged(spans: list[tuple[int, int, bool]], behaviour: str) -> Iterator[tuple[int, int]]:
    if behaviour in ("Removed", "Isolated"):
        yield from ((start, end) for start, end, found in spans if behaviour == "Isolated" or not found)
        return
    begin, last = 0, False
    for start, end, found in spans:
        # What was found ends a word, or begins one; of several in a row each is one by itself.
        if behaviour == "MergedWithPrevious" and found:
            yield begin, end
            begin = end
        elif behaviour == "MergedWithNext" and (found or last) and found:
            yield begin, start
            begin = start
        last = found
    if spans:
        yield begin, spans[-1][1]


def _digits(said: Mapping[str, Any]) -> Split:
    """Numbers apart from all else, or each of their digits."""
    pattern = {"Regex": r"\p{N}" if said["individual_digits"] else r"\p{N}+"}
    return _at_pattern({"pattern": pattern, "behavior": "Isolated"})


def _metaspace(said: Mapping[str, Any]) -> Split:
    """SentencePiece's words, each of which begins with a letter that stands for a blank."""
    mark, scheme = said["replacement"], said.get("prepend_scheme", "always")

    def split(text: Text) -> Iterator[Text]:
        first = bool(text.origins) and text.origins[0] == 0
        text = Text(text.letters.replace(" ", mark), text.origins)
        if (scheme == "always" or (scheme == "first" and first)) and not text.letters.startswith(mark):
            text = prepended(text, mark)
        if said.get("split", True):
            spans = list(_spans(re.finditer(re.escape(mark), text.letters), len(text.letters)))
            yield from (text.cut(start, end) for start, end in _merged(spans, "MergedWithNext") if start < end)
        elif text.letters:
            yield text

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


MADE: Mapping[str, Callable[[Mapping[str, Any]], Split]] = {
    "ByteLevel": _words_of_bytes,
    "Digits": _digits,
    "Metaspace": _metaspace,
    "Split": _at_pattern,
}
"""The same of those that have settings."""


def of_bytes(said: Mapping[str, Any] | None) -> bool:
    """Whether a tokenizer's `pre_tokenizer` makes bytes of words, which then stand for letters in its vocabulary."""
    if said is None:
        return False
    return said["type"] == "ByteLevel" or any(map(of_bytes, said.get("pretokenizers", ())))


def splitter(said: Mapping[str, Any] | None) -> Split:
    """A tokenizer's `pre_tokenizer`.

    Raises:
        BrokenError: It is one that this kit does not know.
    """
    if said is None:
        return lambda text: iter([text] if text.letters else [])
    kind = said["type"]
    if kind in MADE:
        return MADE[kind](said)
    if kind == "Sequence":
        return _chain([splitter(each) for each in said["pretokenizers"]])
    if kind not in KINDS:
        known = ", ".join([*KINDS, *MADE, "Sequence"])
        raise BrokenError(f"tokenizer.json: pre_tokenizer must be one of {known}, got {kind}")
    return KINDS[kind]()
