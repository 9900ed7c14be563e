"""Looks for the longest pieces of a vocabulary at all places of a text at once: a trie in three arrays.

A double array (Aoe 1989, "An efficient digital search algorithm by using a double-array structure"): the state that
follows on the state s by the symbol c is t = base[s] + c, if check[t] is s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NOWHERE = 0
"""State of what no piece begins with; nothing leads out of it."""

FREE = -1
"""`check` of a state that is none, and `token` of one where no piece ends."""

WINDOW = 256
"""Places that are tried at a time for the children of a state."""

CROWDED = 0.7
"""Share of a window's places that are taken, above which it is not tried any more."""


@dataclass(frozen=True)
class Trie:
    """Pieces, by their symbols.

    Attributes:
        base: What a symbol is added to, int32 of shape [states].
        check: The state from which each one is reached; the same shape.
        token: Number of the piece that ends in each; the same shape.
        roots: The state before the first symbol, of each of the sets of pieces.
        longest: Symbols of the longest piece.
    """

    base: np.ndarray
    check: np.ndarray
    token: np.ndarray
    roots: tuple[int, ...]
    longest: int


class _Node(dict[int, "_Node"]):
    """Children by their symbols.

    Attributes:
        token: Number of the piece that ends here.
    """

    token = FREE


def trie(sets: Sequence[Mapping[tuple[int, ...], int]], symbols: int) -> Trie:
    """The trie of some sets of pieces, each with a root of its own.

    Args:
        sets: Piece, of at least one symbol → its number.
        symbols: How many there are; 0 is in no piece.
    """
    roots = [_grown(pieces) for pieces in sets]
    nodes, place = list(roots), 0
    while place < len(nodes):
        nodes += nodes[place].values()
        place += 1
    # Below `symbols` lies where NOWHERE leads, so that nothing may; the roots come next.
    firsts = {id(root): symbols + place for place, root in enumerate(roots)}
    bases = _placed(nodes, symbols + len(roots))
    states = firsts | {id(child): bases[id(node)] + symbol for node in nodes for symbol, child in node.items()}
    size = max(states.values()) + 1 + symbols
    base, check, token = (np.full(size, fill, np.int32) for fill in (0, FREE, FREE))
    for node in nodes:
        state = states[id(node)]
        base[state], token[state] = bases.get(id(node), 0), node.token
        for child in node.values():
            check[states[id(child)]] = state
    longest = max((len(piece) for pieces in sets for piece in pieces), default=0)
    return Trie(base, check, token, tuple(firsts.values()), longest)


def _grown(pieces: Mapping[tuple[int, ...], int]) -> _Node:
    root = _Node()
    for piece, number in pieces.items():
        node = root
        for symbol in piece:
            node = node.setdefault(symbol, _Node())
        node.token = number
    return root


def _placed(nodes: Sequence[_Node], first: int) -> dict[int, int]:
    """Base of each node with children, so that no two children share a state; those with most children come first."""
    used = np.zeros(first + 2 * len(nodes) + WINDOW, bool)
    used[:first] = True
    found: dict[int, int] = {}
    parents = sorted((node for node in nodes if node), key=len, reverse=True)
    several = [node for node in parents if len(node) > 1]
    for node in several:
        symbols = np.asarray(sorted(node), np.int64)
        steps, start, fitting = symbols - symbols[0], first, np.empty(0, np.int64)
        while not len(fitting):
            if start + WINDOW + steps[-1] >= len(used):
                used = np.concatenate([used, np.zeros(len(used) + int(steps[-1]), bool)])
            places = start + np.flatnonzero(~used[start : start + WINDOW])
            fitting = places[~used[places[:, np.newaxis] + steps].any(axis=1)]
            start += WINDOW
        used[fitting[0] + steps] = True
        found[id(node)] = int(fitting[0] - symbols[0])
        # Where little is free hardly anything fits; it is left to those below.
        while used[first : first + WINDOW].mean() > CROWDED:
            first += WINDOW
    # Most have one child, which fits anywhere.
    free = [*np.flatnonzero(~used), *range(len(used), len(used) + len(parents))]
    for node, place in zip(parents[len(several) :], free, strict=False):
        found[id(node)] = int(place) - next(iter(node))
    return found
