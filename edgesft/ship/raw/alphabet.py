"""What a tokenizer makes of each character, as tables: asked of the tokenizer itself, one code point after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

POINTS = 0x110000
"""Code points of Unicode."""

SURROGATES = range(0xD800, 0xE000)
"""Code points that no UTF-8 has."""

UNASSIGNED = range(0x40000, 0xE0000)
"""Planes without a character (The Unicode Standard 17, section 2.8), of which one code point is asked for all."""

PAGE = 256
"""Code points of which the table has a row; most rows are alike, and kept once."""

BLANK, OTHER = 0, 1
"""Symbols: what parts words and is gone; a character that no piece has."""

KEPT, GONE, APART = 1, 2, 3
"""Words that a tokenizer sees in `aXa`: one, where X is part of a word; two, where it parts them and is gone; three,
where it is a word of its own."""


@dataclass(frozen=True)
class Alphabet:
    """Symbols, and which ones a code point becomes.

    Attributes:
        symbols: Character → its symbol, of those that pieces have.
        apart: The first symbol that is a word of its own; so are all after it, of which this one stands for every
            character of that kind that no piece has.
        count: How many symbols there are.
        page: Page of a code point → row of `records`, int32 of shape [POINTS / PAGE].
        records: Row and place within the page → record, int32 of shape [rows, PAGE].
        texts: Record → the symbols that the code point becomes, -1 behind them; int32 of shape [records, most].
    """

    symbols: dict[str, int]
    apart: int
    count: int
    page: np.ndarray
    records: np.ndarray
    texts: np.ndarray


def alphabet(tokenizer: Any, known: Iterable[str]) -> Alphabet:
    """The alphabet of a tokenizer whose normaliser and pre-tokenizer look at one character at a time.

    Args:
        tokenizer: Of the library tokenizers.
        known: Characters that pieces have.
    """
    texts = _texts(tokenizer.normalizer)
    there = sorted(set().union(*texts))
    kinds = dict(zip(there, _kinds(tokenizer.pre_tokenizer, there), strict=True))
    plain = [each for each in sorted(set(known)) if kinds.get(each) == KEPT]
    own = [each for each in sorted(set(known)) if kinds.get(each) == APART]
    apart = OTHER + 1 + len(plain)
    symbols = {each: OTHER + 1 + place for place, each in enumerate(plain)}
    symbols |= {each: apart + 1 + place for place, each in enumerate(own)}
    unknown = {KEPT: OTHER, GONE: BLANK, APART: apart}
    numbers: dict[tuple[int, ...], int] = {}
    known_as = {each: symbols.get(each, unknown[kind]) for each, kind in kinds.items()}
    rows = [numbers.setdefault(tuple(map(known_as.__getitem__, text)), len(numbers)) for text in texts]
    whole = np.concatenate(
        [
            np.asarray(rows[: UNASSIGNED.start], np.int32),
            np.full(len(UNASSIGNED), rows[UNASSIGNED.start], np.int32),
            np.asarray(rows[UNASSIGNED.start + 1 :], np.int32),
        ]
    )
    records, page = np.unique(whole.reshape(-1, PAGE), axis=0, return_inverse=True)
    return Alphabet(symbols, apart, apart + 1 + len(own), page.astype(np.int32), records, table(list(numbers)))


def _texts(normaliser: Any) -> list[str]:
    """What each code point becomes; `UNASSIGNED` is there once."""
    asked = [*range(UNASSIGNED.start + 1), *range(UNASSIGNED.stop, POINTS)]
    points = ["" if point in SURROGATES else chr(point) for point in asked]
    return [normaliser.normalize_str(each) for each in points] if normaliser else points


def table(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of unlike lengths, filled with -1 at their ends; int32."""
    found = np.full((len(rows), max(1, max(map(len, rows), default=1))), -1, np.int32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def _kinds(split: Any, letters: Sequence[str]) -> Sequence[int]:
    """What each character does to the word around it."""
    if split is None:
        return [KEPT] * len(letters)
    width = len("aXa ")
    found = split.pre_tokenize_str(" ".join(f"a{each}a" for each in letters))
    starts = np.asarray([start for _, (start, _) in found], np.int64)
    return np.bincount(starts // width, minlength=len(letters)).tolist()
