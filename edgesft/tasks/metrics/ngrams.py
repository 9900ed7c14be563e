"""How near texts are to what people wrote: chrF and BLEU by sacrebleu, ROUGE-L over the same words.

Each is a corpus's: of every row only counts are kept, which add up, so that any choice of rows is scored in no time.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesft.errors import UnavailableError

METRICS = ("chrf", "bleu", "rouge_l")

WESTERN, CHINESE = "13a", "zh"
"""sacrebleu's names of how words are told apart: as mteval-v13a does, and with each Han character a word."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def words_of(texts: Sequence[str]) -> str:
    """How the words of texts are told apart: `CHINESE` where most of what they are made of is Han."""
    characters = "".join(texts)
    letters = sum(map(str.isalpha, characters))
    return CHINESE if 2 * len(_HAN.findall(characters)) > letters else WESTERN


def require() -> None:
    """That what counts is installed.

    Raises:
        UnavailableError: It is not.
    """
    if importlib.util.find_spec("sacrebleu") is None:
        raise UnavailableError("chrF and BLEU need sacrebleu", "pip install 'edgesft[text]'")


@functools.lru_cache(maxsize=1 << 16)
def counted(said: str, truth: tuple[str, ...], words: str) -> np.ndarray:
    """What a row adds to the corpus: of chrF (Popović 2015, best of the references), of BLEU (Papineni et al. 2002,
    all references together) and of ROUGE-L, and that it is one row.

    Args:
        said: An answer.
        truth: Texts each of which is right.
        words: `WESTERN` or `CHINESE`.
    """
    chrf, bleu = _chrf(), _bleu(words)
    references = [[text] for text in truth]
    of_chrf, of_bleu = (each._extract_corpus_statistics([said], references)[0] for each in (chrf, bleu))
    own, others = _words(said, bleu.tokenizer), [_words(text, bleu.tokenizer) for text in truth]
    return np.asarray([*of_chrf, *of_bleu, max(rouge_l(own, each) for each in others), 1.0], np.float64)


def scores(rows: Sequence[np.ndarray], words: str) -> dict[str, float]:
    """The metrics of a corpus, as shares; of no rows all are 0.

    Args:
        rows: Of each row what it adds.
        words: How words were told apart.
    """
    if not len(rows):
        return dict.fromkeys(METRICS, 0.0)
    chrf, bleu = _chrf(), _bleu(words)
    *counts, nearness, number = np.sum(rows, axis=0).tolist()
    size, whole = 3 * chrf.order, list(map(int, counts))
    return {
        "chrf": chrf._compute_score_from_stats(whole[:size]).score / 100,
        "bleu": bleu._compute_score_from_stats(whole[size:]).score / 100,
        "rouge_l": nearness / number,
    }


def rouge_l(said: Sequence[str], truth: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words (Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries,
    section 3, with beta 1).
    """
    row = [0] * (len(truth) + 1)
    for word in said:
        diagonal = 0
        for place, other in enumerate(truth, 1):
            diagonal, row[place] = row[place], diagonal + 1 if word == other else max(row[place], row[place - 1])
    return 2 * row[-1] / (len(said) + len(truth)) if row[-1] else 0.0


def numbered(texts: Sequence[str | None]) -> np.ndarray:
    """Texts as float64 of shape [texts, any]: how many characters, -1 for no text, and their code points, zeros behind
    them.
    """
    found = np.zeros((len(texts), 1 + max((len(text or "") for text in texts), default=0)))
    for row, text in zip(found, texts, strict=True):
        row[0] = -1 if text is None else len(text)
        row[1 : 1 + len(text or "")] = list(map(ord, text or ""))
    return found


@functools.lru_cache(maxsize=1 << 14)
def worded(row: bytes) -> str:
    """Inverse of `numbered`, of the bytes of a row that has a text."""
    length, *codes = np.frombuffer(row).astype(int).tolist()
    return "".join(map(chr, codes[:length]))


def _words(text: str, tokenizer: Any) -> list[str]:
    found: list[str] = tokenizer(text.lower()).split()
    return found


@functools.cache
def _chrf() -> Any:
    require()
    from sacrebleu.metrics import CHRF

    return CHRF()


@functools.cache
def _bleu(words: str) -> Any:
    require()
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=words)
