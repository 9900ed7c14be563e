"""Noise in token sequences."""

from __future__ import annotations

import numpy as np

from edgesft.tasks.augmentation.tokens import hidden, replaced, substituted, swaps

TOKENS = np.tile(np.arange(100, 120), (500, 1))
PLAIN = np.ones_like(TOKENS, bool)
PLAIN[:, [0, 15, 16, 17, 18, 19]] = False


def test_only_plain_tokens_are_replaced() -> None:
    found = replaced(TOKENS, PLAIN, np.arange(5), 0.3, np.random.default_rng(0))
    assert (found[~PLAIN] == TOKENS[~PLAIN]).all() and set(found[found != TOKENS]) == set(range(5))
    assert 0.25 < (found != TOKENS)[PLAIN].mean() < 0.35


def test_only_plain_tokens_are_hidden_and_never_all() -> None:
    mask = np.ones_like(TOKENS)
    found = hidden(mask, PLAIN, 0.3, np.random.default_rng(0))
    assert found.dtype == mask.dtype and found[~PLAIN].all() and 0.25 < 1 - found[PLAIN].mean() < 0.35
    most = hidden(mask, PLAIN, 0.999, np.random.default_rng(0))
    assert (np.where(PLAIN, most, 0).sum(axis=1) >= 1).all()


def test_neighbours_change_places() -> None:
    order = swaps(PLAIN, 0.2, np.random.default_rng(0))
    assert (np.sort(order, axis=1) == np.arange(20)).all()
    moved = order != np.arange(20)
    assert (order[~PLAIN] == np.tile(np.arange(20), (500, 1))[~PLAIN]).all()
    assert np.abs(order - np.arange(20)).max() == 1 and 0.12 < moved[PLAIN].mean() < 0.22


def test_the_same_stream_gives_the_same_noise() -> None:
    assert (swaps(PLAIN, 0.2, np.random.default_rng(3)) == swaps(PLAIN, 0.2, np.random.default_rng(3))).all()


def test_substitution_takes_neighbours_of_plain_tokens_alone() -> None:
    tokens = np.array([[101, 5, 6, 7, 102, 0]] * 500)
    plain = np.isin(tokens, (5, 6, 7))
    neighbours = np.repeat(np.arange(8)[:, None], 2, axis=1)
    neighbours[5], neighbours[6] = (1, 2), (3, 3)
    found = substituted(tokens, plain, neighbours, 0.4, np.random.default_rng(0))
    assert (found[~plain] == tokens[~plain]).all() and (found[:, 3] == 7).all()
    assert set(found[:, 1]) == {5, 1, 2} and set(found[:, 2]) == {6, 3}
    assert 0.3 < (found[:, 1] != 5).mean() < 0.5
