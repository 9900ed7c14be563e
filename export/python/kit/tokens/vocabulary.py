"""How a word becomes tokens: WordPiece, byte-pair encoding of bytes or letters, or whole words."""

from __future__ import annotations

import heapq
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


def bpe(said: Mapping[str, Any], *, of_bytes: bool = True) -> Lookup:
    """The pair of the lowest rank is joined, again and again, over the word's bytes or letters (Sennrich et al. 2016).

    Raises:
        BrokenError: It drops merges at random, or marks words' ends.
    """
    if odd := [name for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix") if said.get(name)]:
        raise BrokenError(f"tokenizer.json: model BPE must be plain, got {', '.join(odd)}")
    known, whole = said["vocab"], said.get("ignore_merges", False)
    pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in said["merges"]]
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    parts_of = _bytes_of(known) if of_bytes else _letters_of(said)

    def lookup(word: str) -> list[Token]:
        parts = parts_of(word)
        text = "".join(part for part, _, _ in parts) if of_bytes else word
        if whole and text in known:
            return [(known[text], 0, len(word))]
        return [(known[part], start, end) for part, start, end in joined(parts, ranks)]

    return lookup


Part = tuple[str, int, int]
"""Letters of a vocabulary, and the characters of the word that they cover, as a token does."""


def joined(parts: list[Part], ranks: Mapping[tuple[str, ...], int]) -> list[Part]:
    """Neighbours joined by rank, of equal ones the first, until no pair has one; as fast as sorting is."""
    found: list[Part | None] = list(parts)
    before, after = list(range(-1, len(parts) - 1)), list(range(1, len(parts) + 1))
    waiting: list[tuple[int, int, tuple[str, str]]] = []

    def wait(left: int, right: int) -> None:
        if left >= 0 and right < len(found) and (one := found[left]) and (other := found[right]):
            pair = (one[0], other[0])
            if pair in ranks:
                heapq.heappush(waiting, (ranks[pair], left, pair))

    for place in range(len(parts) - 1):
        wait(place, place + 1)
    while waiting:
        _, left, pair = heapq.heappop(waiting)
        one, right = found[left], after[left]
        other = found[right] if right < len(found) else None
        if not one or not other or (one[0], other[0]) != pair:
            continue  # One of them was joined since.
        found[left], found[right] = (one[0] + other[0], one[1], other[2]), None
        after[left] = after[right]
        if after[left] < len(found):
            before[after[left]] = left
        wait(before[left], left)
        wait(left, after[left])
    return [each for each in found if each]


def _bytes_of(known: Mapping[str, int]) -> Callable[[str], list[Part]]:
    letters = byte_letters()

    def parts(word: str) -> list[Part]:
        found = [(letters[byte], place, place + 1) for place, each in enumerate(word) for byte in each.encode()]
        if lacking := [part for part, _, _ in found if part not in known]:
            raise BrokenError(f"tokenizer.json: model BPE must know every byte, got {lacking[0]!r} that it does not")
        return found

    return parts


def _letters_of(said: Mapping[str, Any]) -> Callable[[str], list[Part]]:
    """Letters; of those that are not known their bytes, as `<0x0A>`, or what stands for all such, or nothing."""
    known, unknown = said["vocab"], said.get("unk_token")

    def parts(word: str) -> list[Part]:
        found = list[Part]()
        for place, letter in enumerate(word):
            spelled = [f"<0x{byte:02X}>" for byte in letter.encode()] if said.get("byte_fallback") else []
            if letter in known:
                found.append((letter, place, place + 1))
            elif spelled and all(each in known for each in spelled):
                found += [(each, place, place + 1) for each in spelled]
            elif unknown is not None and said.get("fuse_unk") and found and found[-1][0] == unknown:
                found[-1] = (unknown, found[-1][1], place + 1)
            elif unknown is not None:
                found.append((unknown, place, place + 1))
        return found

    return parts


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


def lookup_of(said: Mapping[str, Any], *, of_bytes: bool = True) -> Lookup:
    """A tokenizer's `model`; each word is looked up once.

    Args:
        said: It.
        of_bytes: Whether its letters stand for bytes, where it has pairs.

    Raises:
        BrokenError: It is one that this kit does not know.
    """
    kind = said.get("type") or ("BPE" if "merges" in said else "WordPiece")
    if kind not in KINDS:
        raise BrokenError(f"tokenizer.json: model must be one of {', '.join(KINDS)}, got {kind}")
    lookup = bpe(said, of_bytes=of_bytes) if kind == "BPE" else KINDS[kind](said)
    kept = dict[str, list[Token]]()

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
