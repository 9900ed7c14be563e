"""What a tokenizer does to a text before it parts it; each character knows where it comes from."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kit.errors import BrokenError
from kit.tokens import characters


class Text(NamedTuple):
    """A text as far as it was normalised.

    Attributes:
        letters: What it is now.
        origins: For each of them the place, in the text that a person gave, of the character that it came from.
    """

    letters: str
    origins: Sequence[int]

    def cut(self, start: int, end: int) -> Text:
        """A part of it."""
        return Text(self.letters[start:end], self.origins[start:end])


Step = Callable[[Text], Text]


def prepended(text: Text, before: str) -> Text:
    """A text behind letters that cover what its first one does; one without letters stays as it is."""
    if not text.letters:
        return text
    return Text(before + text.letters, [*([text.origins[0]] * len(before)), *text.origins])


class Kind:
    """Characters of a kind."""

    def __init__(self, told: str) -> None:
        """Takes ranges, in hexadecimal, as `characters` has them."""
        ends = [[int(end, 16) for end in part.split("-")] for part in told.split()]
        self._firsts, self._lasts = [each[0] for each in ends], [each[-1] for each in ends]

    def __contains__(self, letter: str) -> bool:
        place = bisect_right(self._firsts, ord(letter)) - 1
        return place >= 0 and ord(letter) <= self._lasts[place]


BLANK, SPACE, REMOVED, MARKS, COMBINING, PUNCTUATION, HAN, LOWERED, DECOMPOSED, ORDERED = (
    Kind(getattr(characters, name))
    for name in (
        *("BLANK", "SPACE", "REMOVED", "MARKS", "COMBINING", "PUNCTUATION", "HAN"),
        *("LOWERED", "DECOMPOSED", "ORDERED"),
    )
)

HANGUL = range(0xAC00, 0xD7A4)


class Each(dict[int, str]):
    """A step that makes of each character the same wherever it stands; what it makes is kept."""

    def __init__(self, change: Callable[[str], str]) -> None:
        super().__init__()
        self._change = change

    def __missing__(self, point: int) -> str:
        found = self[point] = self._change(chr(point))
        return found

    def __call__(self, text: Text) -> Text:
        """A text after the step."""
        pieces = [self[ord(letter)] for letter in text.letters]
        origins = [place for place, piece in zip(text.origins, pieces, strict=True) for _ in piece]
        return Text("".join(pieces), origins)


def _cleaned(letter: str) -> str:
    return " " if letter in BLANK else "" if letter in REMOVED else letter


def _spaced(letter: str) -> str:
    return f" {letter} " if letter in HAN else letter


def _lower(letter: str) -> str:
    return letter.lower() if letter in LOWERED else letter


def _apart(letter: str) -> str:
    known = letter in DECOMPOSED or ord(letter) in HANGUL
    return unicodedata.normalize("NFD", letter) if known else letter


def ordered(text: Text) -> Text:
    """Combining characters in their canonical order (The Unicode Standard, section 3.11).

    A character that was taken apart keeps what it covers for its first part alone, which may go elsewhere: so the
    library has it, whose places these are.
    """
    letters, origins = text
    if letters.isascii():
        return text
    ranks = [unicodedata.combining(letter) if letter in ORDERED else 0 for letter in letters]
    order, start = list(range(len(ranks))), 0
    for place in range(len(ranks) + 1):
        if place == len(ranks) or not ranks[place]:
            order[start:place] = sorted(order[start:place], key=ranks.__getitem__)
            start = place + 1
    further = [place > 0 and origins[place] == origins[place - 1] for place in range(len(ranks))]
    left = iter([origin for origin, more in zip(origins, further, strict=True) if not more])
    moved: list[int] = []
    for place in order:
        moved.append(moved[-1] if further[place] and moved else next(left))
    return Text("".join(letters[place] for place in order), moved)


def _without(kind: Kind) -> Step:
    return Each(lambda letter: "" if letter in kind else letter)


def _replaced(said: Mapping[str, Any]) -> Step:
    """All that a pattern finds becomes the same."""
    from kit.tokens.pattern import compiled

    pattern, content = compiled(said["pattern"]), said["content"]

    def step(text: Text) -> Text:
        letters, origins, done = "", list[int](), 0
        for found in pattern.finditer(text.letters):
            start, end = found.span()
            letters += text.letters[done:start] + content
            origins += [*text.origins[done:start], *([text.origins[min(start, len(text.origins) - 1)]] * len(content))]
            done = end
        return Text(letters + text.letters[done:], [*origins, *text.origins[done:]]) if done or letters else text

    return step


def _composed(form: str) -> Step:
    """A form of Unicode (Annex 15), made of as few letters at once as it can be."""

    def made(letters: str) -> str:
        return unicodedata.normalize(form, letters)

    def step(text: Text) -> Text:
        if unicodedata.is_normalized(form, text.letters):
            return text
        found, origins, start = "", list[int](), 0
        for end in range(1, len(text.letters) + 1):
            piece, following = text.letters[start:end], text.letters[end : end + 1]
            if following and (
                unicodedata.combining(following) or made(piece + following) != made(piece) + made(following)
            ):
                continue
            whole = made(piece)
            found += whole
            origins += [text.origins[min(start + place, end - 1)] for place in range(len(whole))]
            start = end
        return Text(found, origins)

    return step


def _bert(said: Mapping[str, Any]) -> list[Step]:
    steps: list[Step] = []
    if said["clean_text"]:
        steps.append(Each(_cleaned))
    if said["handle_chinese_chars"]:
        steps.append(Each(_spaced))
    strip = said["strip_accents"]
    if said["lowercase"] if strip is None else strip:
        steps += [Each(_apart), ordered, _without(MARKS)]
    return [*steps, *([Each(_lower)] if said["lowercase"] else [])]


def steps(said: Mapping[str, Any] | None) -> list[Step]:
    """The steps of a tokenizer's `normalizer`.

    Raises:
        BrokenError: It has one that this kit does not know.
    """
    kinds: Mapping[str, Callable[[], list[Step]]] = {
        "BertNormalizer": lambda: _bert(said or {}),
        "Lowercase": lambda: [Each(_lower)],
        "NFD": lambda: [Each(_apart), ordered],
        "StripAccents": lambda: [_without(COMBINING)],
        "NFC": lambda: [_composed("NFC")],
        "NFKC": lambda: [_composed("NFKC")],
        "Prepend": lambda: [lambda text: prepended(text, (said or {})["prepend"])],
        "Replace": lambda: [_replaced(said or {})],
        "Sequence": lambda: [step for each in (said or {})["normalizers"] for step in steps(each)],
    }
    if said is None:
        return []
    if said["type"] not in kinds:
        raise BrokenError(f"tokenizer.json: normalizer must be one of {', '.join(kinds)}, got {said['type']}")
    return kinds[said["type"]]()
