"""How a word becomes tokens: WordPiece, byte-pair encoding of bytes, or whole words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from kit.errors import BrokenError

Token = tuple[int, int, int]
"""Its number, and the first character of the word that it covers and the one behind the last."""

Lookup = Callable[[str], list[Token]]


def wordpiece(said: Mapping[str, Any]) -> Lookup:
    """The longest piece that is known, again and again (Wu et al. 2016, arXiv 1609.08144)."""
    known, inner = said["vocab"], said["continuing_subword_prefix"]
    most, unknown = said["max_input_chars_per_word"], _unknown(said)
    longest = max(map(len, known), default=0)

    def lookup(word: str) -> list[Token]:
        if len(word) > most:
            return [(unknown, 0, len(word))]
        found, start = list[Token](), 0
        while start < len(word):
            for end in range(min(len(word), start + longest), start, -1):
                piece = word[start:end] if start == 0 else inner + word[start:end]
                if piece in known:
                    found.append((known[piece], start, end))
                    start = end
                    break
            else:
                return [(unknown, 0, len(word))]
        return found

    return lookup


def bpe(said: Mapping[str, Any]) -> Lookup:
    """The pair of the lowest rank is joined, again and again, over the word's bytes (Sennrich et al. 2016).

    Raises:
        BrokenError: It is of characters, drops merges at random, or marks words' ends.
    """
    odd = [
        name
        for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
        if said.get(name)
    ]
    if odd:
        raise BrokenError(f"tokenizer.json: model BPE must be plain, of bytes, got {', '.join(odd)}")
    known, whole = said["vocab"], said.get("ignore_merges", False)
    pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in said["merges"]]
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    letters = byte_letters()

    def lookup(word: str) -> list[Token]:
        parts = [(letters[byte], place, place + 1) for place, each in enumerate(word) for byte in each.encode()]
        text = "".join(part for part, _, _ in parts)
        if whole and text in known:
            return [(known[text], 0, len(word))]
        while len(parts) > 1:
            joined = [ranks.get((one[0], other[0]), len(ranks)) for one, other in itertools.pairwise(parts)]
            rank = min(joined)
            at = joined.index(rank)
            if rank == len(ranks):
                break
            parts[at : at + 2] = [(parts[at][0] + parts[at + 1][0], parts[at][1], parts[at + 1][2])]
        if lacking := [part for part, _, _ in parts if part not in known]:
            raise BrokenError(f"tokenizer.json: model BPE must know every byte, got {lacking[0]!r} that it does not")
        return [(known[part], start, end) for part, start, end in parts]

    return lookup


def word_level(said: Mapping[str, Any]) -> Lookup:
    """Whole words."""
    known, unknown = said["vocab"], _unknown(said)
    return lambda word: [(known.get(word, unknown), 0, len(word))]


def byte_letters() -> dict[int, str]:
    """The letter that stands for each byte (GPT-2's table): itself where it can be seen, else one behind 255."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


def _unknown(said: Mapping[str, Any]) -> int:
    name = said["unk_token"]
    if name not in said["vocab"]:
        raise BrokenError(f"tokenizer.json: model.unk_token must be in its vocabulary, got '{name}'")
    return said["vocab"][name]


KINDS: Mapping[str, Callable[[Mapping[str, Any]], Lookup]] = {
    "WordPiece": wordpiece,
    "BPE": bpe,
    "WordLevel": word_level,
}


def lookup_of(said: Mapping[str, Any]) -> Lookup:
    """A tokenizer's `model`; each word is looked up once.

    Raises:
        BrokenError: It is one that this kit does not know.
    """
    kind = said.get("type") or ("BPE" if "merges" in said else "WordPiece")
    if kind not in KINDS:
        raise BrokenError(f"tokenizer.json: model must be one of {', '.join(KINDS)}, got {kind}")
    lookup, kept = KINDS[kind](said), dict[str, list[Token]]()

    def kept_lookup(word: str) -> list[Token]:
        found = kept.get(word)
        if found is None:
            found = lookup(word)
            if len(kept) < KEPT:
                kept[word] = found
        return found

    return kept_lookup


KEPT = 10_000
"""Words whose tokens are kept, as many as the library keeps."""
