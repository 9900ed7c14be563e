"""Pieces are found in a trie by their symbols, and nothing else is."""

from __future__ import annotations

import random

from edgesft.ship.raw.trie import FREE, NOWHERE, Trie, trie


def found(made: Trie, root: int, symbols: tuple[int, ...]) -> int | None:
    """Number of the piece that these symbols are; None where no piece begins so."""
    state = made.roots[root]
    for symbol in symbols:
        target = int(made.base[state] + symbol)
        if made.check[target] != state:
            return None
        state = target
    return int(made.token[state])


def test_two_sets_of_pieces() -> None:
    made = trie([{(3,): 7, (3, 4): 8, (3, 4, 5): 9}, {(4,): 1}], 6)
    assert [found(made, 0, each) for each in ((3,), (3, 4), (3, 4, 5), (4,), (3, 5))] == [7, 8, 9, None, None]
    assert (found(made, 1, (4,)), found(made, 1, (3,)), made.longest) == (1, None, 3)


def test_what_begins_a_piece_and_is_none() -> None:
    made = trie([{(1, 2): 5}], 3)
    assert (found(made, 0, (1,)), found(made, 0, ())) == (FREE, FREE)


def test_nothing_leads_out_of_nowhere() -> None:
    made = trie([{(1, 2): 5, (2,): 6}, {}], 3)
    assert all(made.check[made.base[NOWHERE] + symbol] != NOWHERE for symbol in range(3))


def test_many_pieces_at_random() -> None:
    rng = random.Random(0)
    pieces = {tuple(rng.choices(range(1, 40), k=rng.randint(1, 6))): number for number in range(3000)}
    made = trie([pieces], 40)
    assert all(found(made, 0, piece) == number for piece, number in pieces.items())
    for _ in range(3000):
        piece = tuple(rng.choices(range(1, 40), k=rng.randint(1, 7)))
        assert found(made, 0, piece) in (pieces.get(piece, FREE), None)
        assert piece not in pieces or found(made, 0, piece) == pieces[piece]


def test_no_pieces_at_all() -> None:
    assert found(trie([{}, {}], 2), 0, (1,)) is None
