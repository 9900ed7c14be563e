"""Noise in token sequences, for training: a pure function of the batch and the random stream.

Substitution is TinyBERT's; random replacement, deletion and swaps are those of EDA (Wei and Zou 2019, arXiv
1901.11196), on tokens.
"""

from __future__ import annotations

import numpy as np


def replaced(
    tokens: np.ndarray, plain: np.ndarray, vocabulary: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """A share of the plain tokens is any of the vocabulary instead.

    Args:
        tokens: Token ids, shape [rows, tokens].
        plain: Which of them are neither special nor padding, same shape.
        vocabulary: Token ids to draw from.
        share: Probability of each plain token.
        rng: Where the chance comes from.
    """
    chosen = (rng.random(tokens.shape) < share) & plain
    return np.where(chosen, rng.choice(vocabulary, tokens.shape), tokens)


def substituted(
    tokens: np.ndarray, plain: np.ndarray, neighbours: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """A share of the plain tokens is one of its neighbours instead (Jiao et al. 2019, arXiv 1909.10351, section 4.3).

    Args:
        tokens: Token ids, shape [rows, tokens].
        plain: Which of them are neither special nor padding, same shape.
        neighbours: Of each id those that may stand in its place, shape [ids, any]; itself where it has none.
        share: Probability of each plain token.
        rng: Where the chance comes from.
    """
    chosen = (rng.random(tokens.shape) < share) & plain
    which = rng.integers(0, neighbours.shape[1], tokens.shape)
    # Special tokens may lie beyond the table; they are not plain.
    return np.where(chosen, neighbours[np.minimum(tokens, len(neighbours) - 1), which], tokens)


def hidden(mask: np.ndarray, plain: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """An attention mask in which a share of the plain tokens is as padding is: the model does not see them.

    At least one plain token of a row that has some stays.
    """
    draws = np.where(plain, rng.random(mask.shape), 0.0)
    gone = plain & (draws < share) & (draws < draws.max(axis=1, keepdims=True))
    return np.where(gone, 0, mask).astype(mask.dtype)


def swaps(plain: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The order of each row's tokens with a share of the plain ones changing places with the next one; int64.

    Args:
        plain: Which tokens may move, shape [rows, tokens].
        share: Probability that a plain token takes part.
        rng: Where the chance comes from.
    """
    order = np.tile(np.arange(plain.shape[1]), (len(plain), 1))
    # A swap moves two; of three in a row, the middle one moves once.
    first = (rng.random(plain.shape) < share / 2) & plain
    first[:, :-1] &= plain[:, 1:]
    first[:, -1:] = False
    for place in range(1, plain.shape[1]):
        first[:, place] &= ~first[:, place - 1]
    rows, places = np.nonzero(first)
    order[rows, places], order[rows, places + 1] = places + 1, places
    return order
