"""Tokens by the kits' JavaScript: those of the library tokenizers, on every character."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import tiny
from tests.export.script import Probe, RefusedInNode
from tests.export.texts import BLANK, NASTY, characters, random_texts


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.save_tokenizer(folder)
    return json.loads((folder / "tokenizer.json").read_text("utf-8"))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(("most", "side"), [(10_000, "right"), (7, "right"), (7, "left"), (2, "right")])
def test_tokens(probe: Probe, tokenizer: dict[str, Any], split: bool, most: int, side: str) -> None:
    from tokenizers import Tokenizer

    reference = Tokenizer.from_str(json.dumps(tokenizer))
    reference.encode_special_tokens = split
    reference.enable_truncation(most, direction=side)
    options = {"max_length": most, "truncation_side": side, "split_special_tokens": split}
    texts = [*NASTY, *random_texts(400)]
    got = probe("tokens", tokenizer=tokenizer, options=options, texts=texts)
    for text, mine in zip(texts, got, strict=True):
        theirs = reference.encode(text)
        expected = {"ids": theirs.ids, "attention_mask": theirs.attention_mask, "type_ids": theirs.type_ids}
        assert mine == expected, repr(text)


def test_tokens_that_were_added(probe: Probe, tokenizer: dict[str, Any]) -> None:
    from tokenizers import AddedToken, Tokenizer

    reference = Tokenizer.from_str(json.dumps(tokenizer))
    reference.add_tokens([
        AddedToken("<tab>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("Film", single_word=True, normalized=True),
        AddedToken("é", normalized=True),
        AddedToken("<ta", normalized=False),
    ])  # fmt: skip
    options = {"max_length": 100, "truncation_side": "right", "split_special_tokens": False}
    texts = ["a <tab>  b<tab>c <ta <tab", "Film film films É e é FILM, _film film_", "<tab>", " <tab> "]
    got = probe("tokens", tokenizer=json.loads(reference.to_str()), options=options, texts=texts)
    assert [each["ids"] for each in got] == [reference.encode(text).ids for text in texts]


def test_every_character_is_of_the_kind_that_tokenizers_says(probe: Probe) -> None:
    from tokenizers import normalizers, pre_tokenizers

    told = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    reference, splitting = normalizers.BertNormalizer(**told), pre_tokenizers.BertPreTokenizer()
    texts = [f"a{letter}b" for letter in characters()]
    assert probe("normalised", texts=texts, options=told) == [reference.normalize_str(text) for text in texts]
    expected = [[word for word, _ in splitting.pre_tokenize_str(text)] for text in texts]
    assert probe("words", texts=texts) == expected


def test_blanks_are_python_s(probe: Probe) -> None:
    texts = [f"{letter}a{letter}{letter}b{letter}" for letter in characters()] + ["", " ", "a", BLANK]
    assert probe("blanks", texts=texts) == [[text.strip(), text.split()] for text in texts]


def test_a_tokenizer_that_is_not_known(probe: Probe, tokenizer: dict[str, Any]) -> None:
    other = {**tokenizer, "pre_tokenizer": {"type": "ByteLevel"}}
    with pytest.raises(RefusedInNode, match="WordPiece"):
        probe("tokens", tokenizer=other, options={"max_length": 9, "tokenizer": "processor/tokenizer.json"}, texts=[""])
