"""A tokenizer as tables that a graph can look up, or why it cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import StageError
from edgesft.ship.raw.alphabet import Alphabet, alphabet, table
from edgesft.ship.raw.trie import Trie, trie

MODELS = ("WordPiece", "WordLevel")

NORMALISERS = ("BertNormalizer", "Lowercase", "NFD", "NFKD", "StripAccents")
"""What they make of a character does not depend on its neighbours, but for the order of combining marks."""

SPLITTERS = ("BertPreTokenizer", "WhitespaceSplit")


@dataclass(frozen=True)
class Name:
    """A token that is found by its name before anything else is made of a text, such as `[SEP]`.

    Attributes:
        points: Code points of its name.
        symbol: That stands for it.
    """

    points: tuple[int, ...]
    symbol: int


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer.

    Attributes:
        alphabet: What each code point becomes.
        trie: Pieces at the start of a word and within one, and those that have a name.
        names: Tokens that are found by their names.
        end: Symbol of the end of the text, a word of its own.
        unknown: Number of the token for words that no pieces make.
        longest_word: Characters beyond which a word is unknown; None for any.
        before: Special tokens before a text.
        after: The same after it.
        cut_left: Whether a text that is too long loses its start.
    """

    alphabet: Alphabet
    trie: Trie
    names: tuple[Name, ...]
    end: int
    unknown: int
    longest_word: int | None
    before: tuple[int, ...]
    after: tuple[int, ...]
    cut_left: bool


def read(file: Path, preparation: Mapping[str, Any]) -> Vocabulary:
    """The tables of a `tokenizer.json`.

    Args:
        file: The file.
        preparation: Of the contract.

    Raises:
        StageError: It has parts that no graph is written for; they are named.
    """
    from tokenizers import Tokenizer

    said = json.loads(file.read_text("utf-8"))
    if odd := list(_beyond(said)):
        raise StageError(f"tokenizer.json must have parts that a graph is written for, got {'; '.join(odd)}")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = said["model"]
    pieces, inner = model["vocab"], model.get("continuing_subword_prefix") or ""
    starts = {piece: number for piece, number in pieces.items() if piece}
    follows = {
        piece.removeprefix(inner): number
        for piece, number in starts.items()
        if model["type"] == "WordPiece" and piece.startswith(inner) and piece != inner
    }
    letters = alphabet(tokenizer, "".join(starts))
    named = () if preparation["split_special_tokens"] else tuple(said["added_tokens"])
    end = letters.count + len(named)
    names = tuple(Name(tuple(map(ord, each["content"])), letters.count + place) for place, each in enumerate(named))
    own: dict[tuple[int, ...], int] = {(name.symbol,): each["id"] for name, each in zip(names, named, strict=True)}
    first = _spelt(starts, letters) | own | {(end,): pieces[model["unk_token"]]}
    before, after = _around(tokenizer)
    return Vocabulary(
        alphabet=letters,
        trie=trie([first, _spelt(follows, letters)], end + 1),
        names=names,
        end=end,
        unknown=pieces[model["unk_token"]],
        longest_word=model.get("max_input_chars_per_word"),
        before=before,
        after=after,
        cut_left=preparation["truncation_side"] == "left",
    )


def records(vocabulary: Vocabulary) -> tuple[np.ndarray, int]:
    """What records become: those of code points, then nothing, then each name's symbol, then the end's.

    Returns:
        int32 of shape [records, most], and the place of the record that becomes nothing.
    """
    texts = vocabulary.alphabet.texts
    rows = [[each for each in row if each >= 0] for row in texts.tolist()]
    return table([*rows, [], *([name.symbol] for name in vocabulary.names), [vocabulary.end]]), len(rows)


def _spelt(pieces: Mapping[str, int], letters: Alphabet) -> dict[tuple[int, ...], int]:
    """Pieces by their symbols; one with a character that no word has is never found."""
    known = letters.symbols
    return {
        tuple(known[each] for each in piece): number
        for piece, number in pieces.items()
        if all(each in known for each in piece)
        and (len(piece) == 1 or all(known[each] < letters.apart for each in piece))
    }


def _beyond(said: Mapping[str, Any]) -> Iterator[str]:
    """What no graph is written for."""
    model = said["model"]
    if (kind := model.get("type")) not in MODELS:
        yield f"model {kind}, not {' or '.join(MODELS)}"
    for part, known, several in (
        ("normalizer", NORMALISERS, "normalizers"),
        ("pre_tokenizer", SPLITTERS, "pretokenizers"),
    ):
        for kind in _kinds(said.get(part), several):
            if kind not in known:
                yield f"{part} {kind}, not {', '.join(known)}"
    for each in said["added_tokens"]:
        if each["normalized"] or each["single_word"]:
            yield f"added token '{each['content']}' that is looked for after normalisation, or as a whole word alone"
    contents = [each["content"] for each in said["added_tokens"]]
    for one in contents:
        if other := next((other for other in contents if _overlap(one, other)), None):
            yield f"added tokens '{one}' and '{other}', which may overlap"


def _kinds(said: Mapping[str, Any] | None, several: str) -> Iterator[str]:
    if said is not None and said["type"] == "Sequence":
        for each in said[several]:
            yield from _kinds(each, several)
    elif said is not None:
        yield said["type"]


def _overlap(one: str, other: str) -> bool:
    """Whether a second name can begin within a first one."""
    return any(other.startswith(one[place:]) or one[place:].startswith(other) for place in range(1, len(one)))


def _around(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Special tokens before and after a text.

    Raises:
        StageError: Some of another type than 0.
    """
    found = tokenizer.encode("a", add_special_tokens=True)
    if any(found.type_ids):
        raise StageError("tokenizer.json must give one text tokens of type 0, got others")
    bare = len(tokenizer.encode("a", add_special_tokens=False).ids)
    mask = found.special_tokens_mask
    first = mask.index(0) if 0 in mask else 0
    return tuple(found.ids[:first]), tuple(found.ids[first + bare :])
