"""Rows of tokens: padded, packed, and the likelihood that a decoder gives them."""

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
"""Padding after the end of a row; no earlier token attends to it."""


def first_answer(example: Example) -> int:
    """Index of the first token of the first answer, at least 1; for a row without an answer, which may have been cut
    off, its length.
    """
    learned = np.flatnonzero(example[LABELS] != IGNORED)
    return max(1, int(learned[0])) if learned.size else len(example[TOKENS])


def last_answer(example: Example) -> int:
    """Index of the first token of the last answer; for a row without an answer, its length."""
    silent = np.flatnonzero(example[LABELS] == IGNORED)
    learned = np.flatnonzero(example[LABELS] != IGNORED)
    return int(silent[silent < learned[-1]][-1]) + 1 if learned.size else len(example[TOKENS])


def padded(rows: Sequence[np.ndarray], longest: int, blank: int) -> np.ndarray:
    """Rows padded at the end with `blank`, int64 of shape [rows, longest]."""
    found = np.full((len(rows), longest), blank, np.int64)
    for target, row in zip(found, rows, strict=True):
        target[: len(row)] = row
    return found


def packed(examples: Sequence[Example], longest: int) -> list[Example]:
    """Rows packed into sequences of at most so many tokens: longest first, each into the first sequence where it fits.

    Positions restart with each row, and the first token of a row is no target, so that the loss is that of single rows.
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
    """Mean cross entropy over the target tokens.

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
    """Indices of rows of equal length in batches of at most so many, the shortest first; no batch needs padding."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    for _, group in itertools.groupby(order, lambda place: len(rows[place])):
        places = list(group)
        yield from (places[start : start + count] for start in range(0, len(places), count))


def worth(logits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each row the sum of the target tokens' log-probabilities, their number, and how many are the most probable.

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
