"""How near texts are to what people wrote."""

from __future__ import annotations

import pytest

from edgesft.tasks.metrics import ngrams
from edgesft.tasks.metrics.ngrams import CHINESE, WESTERN, counted, numbered, rouge_l, scores, worded, words_of

sacrebleu = pytest.importorskip("sacrebleu", reason="needs edgesft[text]")

SAID = ("The cat sat on the mat.", "a dog runs quickly through the park", "hello")
TRUTH = (
    ("The cat is on the mat.", "There is a cat on the mat."),
    ("A dog ran quickly through a park.",),
    ("hello", "hello there, all"),
)
CHINESE_SAID, CHINESE_TRUTH = ("我是为你来的。", "他有个计划"), (("我是为了你来的。",), ("汤姆说他有个计划。",))


@pytest.mark.parametrize(
    ("said", "truth", "words"), [(SAID, TRUTH, WESTERN), (CHINESE_SAID, CHINESE_TRUTH, CHINESE)], ids=["words", "han"]
)
def test_a_corpus_is_scored_as_sacrebleu_does(
    said: tuple[str, ...], truth: tuple[tuple[str, ...], ...], words: str
) -> None:
    assert words_of([text for texts in truth for text in texts]) == words
    found = scores([counted(text, texts, words) for text, texts in zip(said, truth, strict=True)], words)
    most = max(map(len, truth))
    references = [[texts[place] if place < len(texts) else None for texts in truth] for place in range(most)]
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(said, references).score / 100)
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(said, references, tokenize=words).score / 100)


def test_rouge_is_that_of_the_longest_common_subsequence() -> None:
    assert rouge_l(["police", "killed", "the", "gunman"], ["police", "kill", "the", "gunman"]) == pytest.approx(3 / 4)
    assert rouge_l(["the", "gunman", "kill", "police"], ["police", "kill", "the", "gunman"]) == pytest.approx(2 / 4)
    assert rouge_l([], ["a"]) == rouge_l(["b"], ["a"]) == 0.0
    assert scores([counted("hello", TRUTH[2], WESTERN)], WESTERN)["rouge_l"] == 1.0, "the best of its references"


def test_no_answer_is_worth_nothing() -> None:
    assert set(scores([counted("", ("a b",), WESTERN)], WESTERN).values()) == {0.0}
    assert set(scores([], WESTERN).values()) == {0.0}


def test_texts_as_numbers_and_back() -> None:
    found = numbered(["a café", None, "", "我😀"])
    assert found[:, 0].tolist() == [6, -1, 0, 2]
    assert [worded(row.tobytes()) for row in found[[0, 2, 3]]] == ["a café", "", "我😀"]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ngrams.UnavailableError, match="need sacrebleu"):
        ngrams.require()
