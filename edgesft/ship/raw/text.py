"""The graph that makes tokens of a text: UTF-8 in, numbers of tokens out, by ONNX's standard operators alone.

Code points are looked up in the tokenizer's own tables, so that a text is normalised and parted as in training; then
the longest pieces are looked for at all places at once, and each word goes from piece to piece (Wu et al. 2016, arXiv
1609.08144). No operator here knows a language, and none asks the system it runs on: the same bytes are the same
tokens everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesft.ship.raw.alphabet import BLANK, PAGE, POINTS
from edgesft.ship.raw.nodes import Nodes, int32, int64
from edgesft.ship.raw.trie import NOWHERE
from edgesft.ship.raw.vocabulary import Vocabulary, records

END = int64(np.iinfo(np.int64).max)
"""Behind all of an axis."""


@dataclass(frozen=True)
class Tokens:
    """Names of what a text becomes.

    Attributes:
        ids: int64 of shape [tokens], without special tokens and not cut.
        lines: On which line of the text each one is, from 0, of the same shape; empty where nobody asked.
        count: How many lines there are, int64 of shape [1]; the same.
    """

    ids: str
    lines: str = ""
    count: str = ""


def tokens(n: Nodes, text: str, vocabulary: Vocabulary, *, lines: bool = False) -> Tokens:
    """Writes what makes tokens of a text.

    Args:
        n: Where to write.
        text: uint8 of shape [bytes], UTF-8.
        vocabulary: Of the tokenizer.
        lines: Whether to tell which line of the text each token is of.
    """
    points = _points(n, text)
    found = _records(n, points, vocabulary)
    rows, _ = records(vocabulary)
    width = rows.shape[1]
    spread = n("Reshape", n("Gather", rows, n("Concat", found, int32(len(rows) - 1), axis=0)), int64(-1))
    there = n("GreaterOrEqual", spread, int32(0))
    symbols = n("Compress", spread, there, axis=0)
    words = _words(n, symbols, vocabulary)
    best, token = _pieces(n, symbols, words, vocabulary)
    kept, token = _chosen(n, words, best, token, vocabulary)
    # The last one is the end's own.
    ids = n("Slice", n.cast(n("Compress", token, kept, axis=0), "int64"), int64(0), int64(-1))
    if not lines:
        return Tokens(ids)
    feeds = n.cast(n("Equal", points, int32(ord("\n"))), "int64")
    line = n("Concat", n("CumSum", feeds, np.asarray(0, np.int64)), int64(0), axis=0)
    wide = n("Reshape", n("Expand", n("Unsqueeze", line, int64(1)), int64(1, width)), int64(-1))
    own = n("Compress", n("Compress", wide, there, axis=0), kept, axis=0)
    count = n("Add", n("ReduceSum", feeds, keepdims=1), int64(1))
    return Tokens(ids, n("Slice", own, int64(0), int64(-1)), count)


def _points(n: Nodes, text: str) -> str:
    """Code points of UTF-8 (RFC 3629), int32; what is no UTF-8 becomes any."""
    # A byte more, for there may be none.
    most = n("ReduceMax", n("Concat", text, np.zeros(1, np.uint8), axis=0), keepdims=0)
    plain = n.cast(text, "int32")
    return n.either(n("Less", most, np.asarray(0x80, np.uint8)), plain, lambda g: _decoded(g, plain), "int32")


def _decoded(n: Nodes, data: str) -> str:
    """The same of bytes of which some are beyond ASCII."""
    lead, width = np.arange(256, dtype=np.int32), np.ones(256, np.int32)
    for start, end, size in ((0x80, 0xC0, 0), (0xC0, 0xE0, 2), (0xE0, 0xF0, 3), (0xF0, 0xF8, 4)):
        lead[start:end] -= start
        width[start:end] = size
    padded = n("Concat", data, int32(0, 0, 0), axis=0)
    own, *further = (n("Slice", padded, int64(at), int64(at - 3) if at < 3 else END) for at in range(4))
    sizes, point = n("Gather", width, own), n("Gather", lead, own)
    found = point
    for size, byte in enumerate(further, 2):
        point = n("Add", n("Mul", point, int32(64)), n("Sub", byte, int32(0x80)))
        found = n("Where", n("GreaterOrEqual", sizes, int32(size)), point, found)
    whole = n("Compress", found, n("Greater", sizes, int32(0)), axis=0)
    return n("Clip", whole, np.asarray(0, np.int32), np.asarray(POINTS - 1, np.int32))


def _records(n: Nodes, points: str, vocabulary: Vocabulary) -> str:
    """The record of each code point; that of a name is at its start, and nothing at the rest of it."""
    letters = vocabulary.alphabet
    rows = np.arange(len(letters.page), dtype=np.int32)
    # From where a code point is to where its row of records is.
    far = n("Gather", (letters.page - rows) * PAGE, n("Div", points, int32(PAGE)))
    found = n("Gather", letters.records.reshape(-1), n("Add", points, far))
    if not vocabulary.names:
        return found
    firsts = np.unique([name.points[0] for name in vocabulary.names]).astype(np.int32)
    begun = n.cast(n("Equal", n("Unsqueeze", points, int64(1)), firsts), "uint8")
    # Of an empty text the greatest is none.
    any_ = n("ReduceMax", n("Concat", n("Reshape", begun, int64(-1)), np.zeros(1, np.uint8), axis=0), keepdims=0)
    some = n("Greater", any_, np.asarray(0, np.uint8))
    return n.either(some, lambda g: _named(g, points, found, vocabulary), found, "int32")


def _named(n: Nodes, points: str, found: str, vocabulary: Vocabulary) -> str:
    """The records of a text that may have names in it."""
    _, nothing = records(vocabulary)
    names = vocabulary.names
    sizes = np.asarray([len(name.points) for name in names], np.int32)
    longest = int(sizes.max())
    spelt = np.full((len(names), longest), -1, np.int32)
    for number, name in enumerate(names):
        spelt[number, : len(name.points)] = name.points
    count = n("Squeeze", n("Shape", points))
    places = n("Unsqueeze", n("Range", np.asarray(0, np.int64), count, np.asarray(1, np.int64)), int64(1))
    padded = n("Concat", points, np.full(longest, -1, np.int32), axis=0)
    around = n("Unsqueeze", n("Gather", padded, n("Add", places, np.arange(longest))), int64(1))
    same = n("Or", n("Equal", around, spelt), spelt < 0)
    whole = n("ReduceMin", n.cast(same, "int32"), int64(2), keepdims=0)
    # Names do not overlap: of those that begin at one place the longest, which has the highest code.
    order = np.argsort(sizes, kind="stable")
    codes = np.empty(len(names), np.int32)
    codes[order] = np.arange(1, len(names) + 1)
    code = n("ReduceMax", n("Mul", whole, codes), int64(1), keepdims=0)
    own = n("Gather", np.concatenate([int32(0), (nothing + 1 + order).astype(np.int32)]), code)
    if longest > 1:
        size = n("Gather", np.concatenate([int32(0), sizes[order]]), code)
        before = n("Concat", np.zeros(longest - 1, np.int32), size, axis=0)
        reach = n("Gather", before, n("Add", places, np.arange(longest - 1)))
        over = n("Greater", reach, np.arange(longest - 1, 0, -1, dtype=np.int32))
        inside = n("ReduceMax", n.cast(over, "int32"), int64(1), keepdims=0)
        found = n("Where", n("Greater", inside, int32(0)), int32(nothing), found)
    return n("Where", n("Greater", code, int32(0)), own, found)


@dataclass(frozen=True)
class _Words:
    """Names of what is known of words.

    Attributes:
        starts: Whether one starts at a symbol, bool of shape [symbols].
        inner: Whether one goes on there, the same.
        first: Place of each one's first symbol, int64 of shape [words].
        last: Of the last one, the same.
        sizes: Symbols of each one, the same.
        count: How many symbols there are, int64 of shape [1].
    """

    starts: str
    inner: str
    first: str
    last: str
    sizes: str
    count: str


def _words(n: Nodes, symbols: str, vocabulary: Vocabulary) -> _Words:
    """Where words start, go on and end. The last symbol is the end's, so that there is always one."""
    blank = n("Equal", symbols, int32(BLANK))
    alone = n("Or", blank, n("GreaterOrEqual", symbols, int32(vocabulary.alphabet.apart)))
    before = n("Concat", np.asarray([True]), n("Slice", alone, int64(0), int64(-1)), axis=0)
    starts = n("And", n("Not", blank), n("Or", alone, before))
    inner = n("Not", n("Or", starts, blank))
    goes_on = n("Concat", n("Slice", inner, int64(1), END), np.asarray([False]), axis=0)
    ends = n("Not", n("Or", blank, goes_on))
    first, last = (n("Squeeze", n("NonZero", each), int64(0)) for each in (starts, ends))
    sizes = n("Add", n("Sub", last, first), int64(1))
    return _Words(starts, inner, first, last, sizes, n("Shape", symbols))


def _pieces(n: Nodes, symbols: str, words: _Words, vocabulary: Vocabulary) -> tuple[str, str]:
    """How long the longest piece is that begins at each symbol (0 where none does, int64), and its number, int32."""
    known, zero, one = vocabulary.trie, np.asarray(0, np.int64), np.asarray(1, np.int64)
    first, inside = known.roots

    def reached(g: Nodes, state: str, base: str, symbol: str) -> str:
        target = g("Add", base, symbol)
        return g("Where", g("Equal", g("Gather", known.check, target), state), target, int32(NOWHERE))

    root = n("Where", words.starts, int32(first), int32(inside))
    base = n("Where", words.starts, int32(known.base[first]), int32(known.base[inside]))
    state = n("Unsqueeze", reached(n, root, base, symbols), int64(0))
    # What follows within the word, a row for each further symbol of a piece: none is longer than the longest word.
    longest = max(known.longest, 2)
    padded = n("Concat", n("Where", words.inner, symbols, int32(BLANK)), np.zeros(longest, np.int32), axis=0)
    reach = n("Clip", n("ReduceMax", words.sizes, keepdims=0), *(np.asarray(each, np.int64) for each in (2, longest)))
    sizes = n("Unsqueeze", n("Range", one, n("Add", reach, one), one), int64(1))
    further = n("Slice", sizes, int64(0), int64(-1))
    rows = n("Gather", padded, n("Add", further, n("Range", zero, n("Squeeze", words.count), one)))

    def step(g: Nodes, *, state: str, row: str) -> str:
        return reached(g, state, g("Gather", known.base, state), row)

    states = n("Concat", state, n.scan(n("Squeeze", state, int64(0)), rows, "int32", step), axis=0)
    ends = n("GreaterOrEqual", n("Gather", known.token, states), int32(0))
    best = n("ReduceMax", n("Mul", n.cast(ends, "int64"), sizes), int64(0), keepdims=0)
    last = n("Unsqueeze", n("Max", n("Sub", best, int64(1)), int64(0)), int64(0))
    return best, n("Gather", known.token, n("Squeeze", n("GatherElements", states, last, axis=0), int64(0)))


def _chosen(n: Nodes, words: _Words, best: str, token: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """At which symbols a token begins, bool, and its number: each word goes from piece to piece."""
    longest = vocabulary.longest_word
    lost = n("Greater", words.sizes, int64(longest or np.iinfo(np.int64).max))
    ones = n.filled(n("Shape", words.first), int32(1))
    marks = n.filled(n("Add", words.count, int64(1)), int32(0))
    # A word at its end may be behind all symbols.
    sizes = n("Concat", best, int64(0), axis=0)

    def step(g: Nodes, number: str, *, place: str, going: str, lost: str, marks: str) -> tuple[str, dict[str, str]]:
        size = g("Gather", sizes, place)
        there = g("Greater", size, int64(0))
        on = g("And", going, there)
        lost = g("Or", lost, g("And", going, g("Not", there)))
        # What has come to its end marks the place behind all symbols.
        marks = g("ScatterElements", marks, g("Where", on, place, words.count), ones)
        place = g("Where", on, g("Add", place, size), place)
        going = g("And", on, g("LessOrEqual", place, words.last))
        more = g("Greater", g("ReduceMax", g.cast(going, "int32"), keepdims=0), np.asarray(0, np.int32))
        return more, {"place": place, "going": going, "lost": lost, "marks": marks}

    carried = {
        "place": (words.first, "int64"),
        "going": (n("Not", lost), "bool"),
        "lost": (lost, "bool"),
        "marks": (marks, "int32"),
    }
    found = n.loop(np.asarray(longest or np.iinfo(np.int64).max, np.int64), carried, step)
    word = n("Sub", n("CumSum", n.cast(words.starts, "int64"), np.asarray(0, np.int64)), int64(1))
    # A symbol before the first word is of none, and takes the last one's: a blank, which begins nothing.
    gone = n("Gather", found["lost"], word)
    marked = n("Greater", n("Slice", found["marks"], int64(0), int64(-1)), int32(0))
    kept = n("Or", n("And", gone, words.starts), n("And", n("Not", gone), marked))
    return kept, n("Where", gone, int32(vocabulary.unknown), token)


def fields(n: Nodes, ids: str, vocabulary: Vocabulary, most: int) -> dict[str, str]:
    """Tokens cut to `most` with special ones around them, and what goes with them, int64 of shape [1, tokens].

    Returns:
        `ids`, `attention_mask`, `type_ids` → name.
    """
    own = n("Concat", int64(*vocabulary.before), cut(n, ids, vocabulary, most), int64(*vocabulary.after), axis=0)
    whole = n("Unsqueeze", own, int64(0))
    shape = n("Shape", whole)
    return {"ids": whole, "attention_mask": n.filled(shape, int64(1)), "type_ids": n.filled(shape, int64(0))}


def cut(n: Nodes, each: str, vocabulary: Vocabulary, most: int) -> str:
    """What there is of each token, of those that are left where `most` are with the special ones."""
    room = most - len(vocabulary.before) - len(vocabulary.after)
    first, last = (int64(-room), END) if vocabulary.cut_left and room else (int64(0), int64(room))
    return n("Slice", each, first, last)


def lines_of(n: Nodes, found: Tokens, vocabulary: Vocabulary, most: int) -> str:
    """The line of each token that is fed, -1 for special ones."""
    before, after = (np.full(len(each), -1, np.int64) for each in (vocabulary.before, vocabulary.after))
    return n("Concat", before, cut(n, found.lines, vocabulary, most), after, axis=0)
