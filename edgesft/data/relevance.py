"""Whether two sets of texts are of one kind: how well a simple classifier tells them apart, on rows it has not seen."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

FOLDS = 5
FEATURES = 1 << 16
"""Places that words and pairs of words are hashed to."""

MOST = 5000
"""Texts of each side that are looked at."""

_WORD = re.compile(r"\w+|[^\w\s]")


def apart(one: Sequence[str], other: Sequence[str], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that say how much each text looks like one of `other`.

    Naive Bayes over words and pairs of words, each text scored by a model of the other folds: the classifier two-sample
    test of Lopez-Paz and Oquab 2017 (arXiv 1610.06545). Sides that are of one kind have an area under the ROC curve
    about a half.

    Args:
        one: Texts of the first side, at least `FOLDS`.
        other: Of the second side, at least `FOLDS`.
        seed: Of the folds, and of the texts that are looked at where there are more than `MOST`.

    Returns:
        A score of each text that was looked at, and whether it is of `other`.
    """
    rng = np.random.default_rng(seed)
    sides = [_some(side, rng) for side in (one, other)]
    rows = [_features(text) for side in sides for text in side]
    second = np.repeat([False, True], [len(side) for side in sides])
    fold = np.concatenate([rng.permutation(len(side)) % FOLDS for side in sides])
    scores = np.empty(len(rows))
    for held in range(FOLDS):
        counts = np.ones((2, FEATURES))
        for row in np.flatnonzero(fold != held):
            counts[int(second[row]), rows[row]] += 1
        odds = np.log(counts[1] / counts[1].sum()) - np.log(counts[0] / counts[0].sum())
        for row in np.flatnonzero(fold == held):
            # The mean, or long texts would be told by their length alone.
            scores[row] = odds[rows[row]].mean()
    return scores, second


def _some(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    if len(texts) <= MOST:
        return list(texts)
    return [texts[row] for row in sorted(rng.choice(len(texts), MOST, replace=False))]


def _features(text: str) -> np.ndarray:
    words = _WORD.findall(text.lower())
    pairs = [f"{one} {other}" for one, other in pairwise(words)]
    hashed = {zlib.crc32(each.encode("utf-8", "surrogatepass")) % FEATURES for each in (*words, *pairs)}
    return np.asarray(sorted(hashed) or [0], np.int64)
