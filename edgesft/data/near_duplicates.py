"""Texts that are nearly the same: MinHash over shingles of characters, then the exact similarity of what collides."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

SHINGLE = 5
"""Characters of a shingle: long enough that two texts of one topic share few."""

ALIKE = 0.8
"""Jaccard similarity of the shingles from which two texts are nearly the same: a word changed in a sentence of ten."""

BANDS, DEPTH = 16, 4
"""Of the locality-sensitive hashing: a pair of similarity 0.8 collides in some band with 1 - (1 - 0.8^4)^16 = 99.98 %,
one of 0.4 with 34 % (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4)."""

PRIME = (1 << 31) - 1


class Pair(NamedTuple):
    """Two rows, from 0, of one split and another, and how alike their texts are."""

    one: int
    other: int
    similarity: float


def shingles(text: str) -> np.ndarray:
    """Hashes of a text's shingles, case and spaces made even; sorted, each once, at least one."""
    even = " ".join(text.lower().split()).encode("utf-8", "surrogatepass")
    found = {zlib.crc32(even[first : first + SHINGLE]) for first in range(max(1, len(even) - SHINGLE + 1))}
    return np.asarray(sorted(found), np.int64)


def near_duplicates(one: Sequence[str], other: Sequence[str]) -> list[Pair]:
    """Of each text of `other` the most alike of `one`, where they are at least `ALIKE`, the most alike first.

    Equal texts are not among them: those are told by themselves.
    """
    known, theirs = [shingles(text) for text in one], [shingles(text) for text in other]
    places: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for row, each in enumerate(known):
        for band in _bands(each):
            places[band].append(row)
    found = []
    for row, each in enumerate(theirs):
        candidates = {place for band in _bands(each) for place in places.get(band, ())}
        likely = [(_similarity(known[place], each), place) for place in candidates if one[place] != other[row]]
        if likely and (best := max(likely))[0] >= ALIKE:
            found.append(Pair(best[1], row, best[0]))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.other))


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)


def _bands(hashes: np.ndarray) -> Iterator[tuple[int, bytes]]:
    least = ((hashes[:, np.newaxis] % PRIME * _FACTORS + _SHIFTS) % PRIME).min(axis=0)
    for band in range(BANDS):
        yield band, least[band * DEPTH : (band + 1) * DEPTH].tobytes()


_RNG = np.random.default_rng(0)
_FACTORS = _RNG.integers(1, PRIME, BANDS * DEPTH, np.int64)
_SHIFTS = _RNG.integers(0, PRIME, BANDS * DEPTH, np.int64)
