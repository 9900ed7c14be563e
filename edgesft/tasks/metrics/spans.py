"""Answers that are spans of a passage: the best one by its scores, and how good it is."""

from __future__ import annotations

import functools
import re
import string
from collections import Counter
from typing import NamedTuple

import numpy as np

LONGEST = 30
"""Tokens of an answer, and `CANDIDATES` the starts and ends that are looked at: as BERT's code for SQuAD has them
(Devlin et al. 2018, arXiv 1810.04805)."""

CANDIDATES = 20

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "，。、；：？！“”‘’（）《》〈〉「」『』【】…—～·")
_SINGLE = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
"""Characters that are words of their own: kana and Han."""


class Truth(NamedTuple):
    """What an answer is held against.

    Attributes:
        passage: The text that the answer is a span of.
        answers: Each is right.
    """

    passage: str
    answers: tuple[str, ...]


def best(starts: np.ndarray, ends: np.ndarray, covered: np.ndarray) -> tuple[float, tuple[int, int]]:
    """The span with the greatest sum of its start's and its end's score, of at most `LONGEST` tokens.

    Args:
        starts: Score of each token as the first, shape [tokens].
        ends: As the last.
        covered: Characters that each token covers, -1 where it may not answer; shape [tokens, 2].

    Returns:
        The sum and the span in characters; minus infinity and (-1, -1) where there is none.
    """
    allowed = covered[:, 0] >= 0
    first, last = (_highest(scores, allowed) for scores in (starts, ends))
    sums = starts[first][:, np.newaxis] + ends[last][np.newaxis]
    long = last[np.newaxis] - first[:, np.newaxis]
    sums = np.where((long >= 0) & (long < LONGEST), sums, -np.inf)
    if not sums.size or not np.isfinite(top := sums.max()):
        return -np.inf, (-1, -1)
    one, other = np.unravel_index(int(sums.argmax()), sums.shape)
    return float(top), (int(covered[first[one], 0]), int(covered[last[other], 1]))


def _highest(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The places of the best scores; what is no number is none of them."""
    places = np.flatnonzero(allowed & ~np.isnan(scores))
    return places[np.argsort(-scores[places], kind="stable")[:CANDIDATES]]


def normalised(text: str) -> list[str]:
    """The words that count: lower case, without punctuation and articles, as SQuAD's official script has it.

    Characters that are words of their own are taken apart, as in the scripts of the Chinese sets DRCD and CMRC 2018.
    """
    plain = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    return _SINGLE.sub(r" \1 ", plain).split()


@functools.lru_cache(maxsize=1 << 17)
def compared(truth: Truth, start: int, end: int) -> tuple[float, float]:
    """F1 over words and exact match of a span, each against the answer that it is best for.

    Args:
        truth: Passage and answers.
        start: First character.
        end: The one behind the last; below `start` for no answer.
    """
    said = normalised(truth.passage[start:end]) if 0 <= start < end else []
    wanted = [normalised(answer) for answer in truth.answers]
    return max(_f1(said, each) for each in wanted), float(any(said == each for each in wanted))


def _f1(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else float(said == wanted)
