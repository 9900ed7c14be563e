"""Tokens that a task does not need, and a tokenizer without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from edgesft.tasks.models import vocabulary
from tests import tiny


@pytest.fixture
def tokenizer(tmp_path: Path) -> object:
    tiny.save_tokenizer(tmp_path)
    return AutoTokenizer.from_pretrained(tmp_path)


def test_special_tokens_letters_and_pieces_stay(tokenizer) -> None:
    known = tokenizer.get_vocab()
    kept = vocabulary.kept(tokenizer, {known["good"], known["film"]})
    assert kept == sorted(kept)
    stays = {token for token, number in known.items() if number in kept}
    assert {"good", "film", "[UNK]", "[CLS]", "[SEP]", "[PAD]", "a", "##z"} <= stays
    assert not stays & {"great", "the", "awful"}


def test_words_that_are_gone_are_read_in_pieces_and_ids_stay(tokenizer, tmp_path: Path) -> None:
    known = tokenizer.get_vocab()
    smaller = vocabulary.without_others(tokenizer, vocabulary.kept(tokenizer, {known["good"], known["film"]}))
    assert smaller("good film")["input_ids"] == tokenizer("good film")["input_ids"]
    pieces = smaller.convert_ids_to_tokens(smaller("good bad")["input_ids"])
    assert pieces == ["[CLS]", "good", "b", "##a", "##d", "[SEP]"]
    assert smaller.get_vocab().items() <= known.items()
    smaller.save_pretrained(tmp_path / "again")
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert again.get_vocab() == smaller.get_vocab() and again("bad")["input_ids"] == smaller("bad")["input_ids"]


def test_a_share_of_the_others_may_stay(tokenizer) -> None:
    least, most = vocabulary.kept(tokenizer, {5}), vocabulary.kept(tokenizer, {5}, 1.0)
    half = vocabulary.kept(tokenizer, {5}, 0.5)
    assert most == sorted(tokenizer.get_vocab().values()) and set(least) < set(half) < set(most)
    rest = sorted(set(most) - set(least))
    assert set(half) - set(least) == set(rest[: round(len(rest) / 2)])
