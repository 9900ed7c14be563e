"""Entities in rows of tags: where they start and end, counted over arrays of tag numbers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OUTSIDE = "O"

PREFIXES = ("B", "I", "E", "S")
"""Of the schemes IOB1, IOB2, IOE and IOBES: begin, inside, end, single."""

UNNAMED = "entity"
"""The kind of entities where tags are prefixes alone."""

ABSENT = -1
"""Where a row has no word."""


@dataclass(frozen=True)
class Scheme:
    """What each tag number means; the last entry of each array is of what is absent, whose number is -1.

    Attributes:
        opens: Whether an entity starts at the tag whatever is before it.
        closes: Whether an entity ends at the tag whatever is behind it.
        kind: Number of each tag's kind, -1 outside and absent; indices of `kinds`.
        kinds: Names of the kinds of entities.
    """

    opens: np.ndarray
    closes: np.ndarray
    kind: np.ndarray
    kinds: tuple[str, ...]


def scheme(tags: Sequence[str]) -> Scheme:
    """Reads tags such as `B-PER`. Where there are no others than `O` and the prefixes, these are of one kind, as in
    seqeval; else a tag without a prefix, such as `NOUN`, makes each of its words an entity.
    """
    bare = {OUTSIDE, *PREFIXES}.issuperset(tags)
    parted = [_parted(f"{tag}-{UNNAMED}" if bare and tag != OUTSIDE else tag) for tag in tags]
    kinds = tuple(sorted({kind for _, kind in parted if kind}))
    numbers = [kinds.index(kind) if kind else -1 for _, kind in parted]
    opens, closes = ([*(prefix in letters for prefix, _ in parted), False] for letters in (("B", "S"), ("E", "S")))
    return Scheme(np.asarray(opens), np.asarray(closes), np.asarray([*numbers, -1]), kinds)


def _parted(tag: str) -> tuple[str, str]:
    if tag == OUTSIDE:
        return "", ""
    prefix, dash, kind = tag.partition("-")
    return (prefix, kind) if dash and prefix in PREFIXES and kind else ("S", tag)


def spans(tags: np.ndarray, known: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Where entities start, and where each ends.

    A new entity starts where the kind changes, at B and S, after E and S, and anywhere after outside: the rules of the
    CoNLL-2000 script conlleval, which seqeval's default mode follows.

    Args:
        tags: Tag numbers, `ABSENT` beyond the row's end; shape [rows, words].
        known: What they mean.

    Returns:
        The kind of the entity that starts at each word, -1 where none does, and the last word of that entity; both of
        shape [rows, words].
    """
    rows, words = tags.shape
    before = np.concatenate([np.full((rows, 1), ABSENT), tags[:, :-1]], axis=1)
    kind = known.kind[tags]
    inside = kind >= 0
    starts = inside & ((kind != known.kind[before]) | known.opens[tags] | known.closes[before])
    # An entity goes on to the word before the next start or the next word outside.
    stops = np.concatenate([(starts | ~inside)[:, 1:], np.ones((rows, 1), bool)], axis=1)
    place = np.where(stops, np.arange(words), words)
    ends = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    return np.where(starts, kind, -1), ends


def counts(predicted: np.ndarray, truth: np.ndarray, known: Scheme) -> np.ndarray:
    """Of each kind of entity: how many were found rightly, how many were predicted, how many there are.

    An entity is right where kind, first and last word are.

    Args:
        predicted: Tag numbers, shape [rows, words].
        truth: The same of what they should be.
        known: What they mean.

    Returns:
        Integers of shape [kinds, 3].
    """
    ours, our_ends = spans(predicted, known)
    theirs, their_ends = spans(truth, known)
    right = (ours >= 0) & (ours == theirs) & (our_ends == their_ends)
    number = len(known.kinds)
    each = [np.bincount(kinds, minlength=number) for kinds in (ours[right], ours[ours >= 0], theirs[theirs >= 0])]
    return np.stack(each, axis=1)


def figures(counted: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of counts [right, predicted, true]; 0 where there is nothing to divide by."""
    right, ours, theirs = (float(value) for value in counted)
    return {
        "precision": right / ours if ours else 0.0,
        "recall": right / theirs if theirs else 0.0,
        "f1": 2 * right / (ours + theirs) if ours + theirs else 0.0,
    }
