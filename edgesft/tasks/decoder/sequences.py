"""Rows of tokens: padded, put behind each other, and what the scores of a decoder are worth on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgesft.tasks.base import Example
from edgesft.tasks.decoder.cache import TOKENS
from edgesft.tasks.text import IGNORED, LABELS

if TYPE_CHECKING:
    import torch

POSITIONS = "position_ids"

BLANKS = {TOKENS: 0, LABELS: IGNORED}
"""What stands where a row has ended; nothing that comes before it sees it."""


def last_answer(example: Example) -> int:
    """Where the last answer begins; of a row without one, its end."""
    silent = np.flatnonzero(example[LABELS] == IGNORED)
    learned = np.flatnonzero(example[LABELS] != IGNORED)
    return int(silent[silent < learned[-1]][-1]) + 1 if learned.size else len(example[TOKENS])


def padded(rows: Sequence[np.ndarray], longest: int, blank: int) -> np.ndarray:
    """Rows behind which `blank` stands up to the longest, int64 of shape [rows, longest]."""
    found = np.full((len(rows), longest), blank, np.int64)
    for target, row in zip(found, rows, strict=True):
        target[: len(row)] = row
    return found


def packed(examples: Sequence[Example], longest: int) -> list[Example]:
    """Rows behind each other, as many as fit into so many tokens; longer ones first, each where it first fits.

    Positions begin anew with each row, and no row's first token is to be said, so that the loss is the rows' own.
    """
    bins: list[list[Example]] = []
    room: list[int] = []
    for example in sorted(examples, key=lambda each: -len(each[TOKENS])):
        size = len(example[TOKENS])
        place = next((index for index, left in enumerate(room) if left >= size), len(bins))
        if place == len(bins):
            bins.append([])
            room.append(longest)
        bins[place].append(example)
        room[place] -= size
    return [
        {
            TOKENS: np.concatenate([each[TOKENS] for each in held]),
            LABELS: np.concatenate([each[LABELS] for each in held]),
            POSITIONS: np.concatenate([np.arange(len(each[TOKENS])) for each in held]),
        }
        for held in bins
    ]


def entropy(scores: torch.Tensor, wanted: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean cross entropy over the tokens that are wanted.

    Args:
        scores: Before softmax, shape [rows, tokens, vocabulary].
        wanted: Shape [rows, tokens]; `IGNORED` where nothing is.
        smoothing: Share of the target spread over all tokens.
    """
    from torch.nn import functional

    total = functional.cross_entropy(
        scores.flatten(0, 1).float(),
        wanted.flatten(),
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction="sum",
    )
    return total / (wanted != IGNORED).sum().clamp(min=1)


def alike(rows: Sequence[np.ndarray], count: int) -> Iterator[list[int]]:
    """Places of rows that are equally long, at most so many at once, the shortest first: none needs padding."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    for _, group in itertools.groupby(order, lambda place: len(rows[place])):
        places = list(group)
        yield from (places[start : start + count] for start in range(0, len(places), count))


def worth(logits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each row the sum of the wanted tokens' log-probabilities, how many there are, and how many are the likeliest.

    Args:
        logits: Shape [rows, tokens, vocabulary].
        wanted: Shape [rows, tokens]; `IGNORED` where nothing is.

    Returns:
        float64 of shape [rows, 3].
    """
    scores = logits.astype(np.float64)
    scores -= scores.max(-1, keepdims=True)
    asked = wanted != IGNORED
    own = np.take_along_axis(scores, np.where(asked, wanted, 0)[..., None], -1)[..., 0]
    likely = own - np.log(np.exp(scores).sum(-1))
    counts = (np.where(asked, likely, 0), asked, asked & (own >= 0))
    return np.stack([each.sum(-1, dtype=np.float64) for each in counts], axis=-1)
