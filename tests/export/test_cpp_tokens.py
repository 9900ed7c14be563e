"""What the kit in C++ makes of texts that models write: tokens and texts as the library tokenizers has them, chance as
numpy has it.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

from tests.export import native
from tests.export.test_python_tokens import GPT4, KINDS, loaded, split_first
from tests.export.test_python_tokens import texts as odd_texts
from tests.export.texts import NASTY, characters, random_texts

Ask = Callable[[Tokenizer | None, Sequence[Any]], list[Any]]

GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pattern of GPT-4o, whose letters are told apart by their case."""


def asking(program: Path, folder: Path) -> Ask:
    """Gives each line to the program, with a tokenizer."""

    def ask(tokenizer: Tokenizer | None, asked: Sequence[Any]) -> list[Any]:
        file = folder / "tokenizer.json"
        if tokenizer:
            tokenizer.save(str(file))
        command = [str(program), *([str(file)] if tokenizer else [])]
        given = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in asked)
        done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", timeout=600)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    return ask


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    folder = tmp_path_factory.mktemp("tokens")
    return asking(native.compiled("tokens", folder, "-O1"), folder)


@pytest.mark.parametrize("seed", [0, 1, 7, 12345, 2**32 - 1, 2**32, 2**40 + 5, 2**53 - 1, 2**64 - 1])
def test_chance_is_numpy_s(ask: Ask, seed: int) -> None:
    (found,) = ask(None, [{"seed": str(seed), "count": 50}])
    assert found == np.random.default_rng(seed).random(50).tolist()


def check(ask: Ask, theirs: Tokenizer, seed: int, count: int = 300) -> None:
    """Tokens are the library's, and so is their text again, cut within a character or drawn by chance."""
    texts = [*NASTY, *random_texts(count), *odd_texts(count, sorted(theirs.get_vocab()), seed=seed)]
    told = [theirs.encode(text) for text in texts]
    found = ask(theirs, [{"text": text} for text in texts])
    wrong = [text for text, mine, each in zip(texts, found, told, strict=True) if mine["ids"] != each.ids]
    assert not wrong, (len(wrong), wrong[:5])
    bare = [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    assert [each["plain"] for each in found] == bare
    rng, all_ = random.Random(seed), sorted(theirs.get_vocab().values())
    drawn = [rng.choices(all_, k=rng.randrange(12)) for _ in range(count)]
    ids = [*(each.ids for each in told), *(each.ids[:-1] for each in told), *drawn]
    again = ask(theirs, [{"ids": each} for each in ids])
    expected = [theirs.decode(each) for each in ids]
    differ = [(mine, other) for mine, other in zip(again, expected, strict=True) if mine != other]
    assert not differ, (len(differ), differ[:5])


def same(ask: Ask, theirs: Tokenizer, texts: Sequence[str]) -> None:
    """Tokens are the library's."""
    found = ask(theirs, [{"text": text} for text in texts])
    wrong = [text for text, mine in zip(texts, found, strict=True) if mine["ids"] != theirs.encode(text).ids]
    assert not wrong, (len(wrong), wrong[:5])


def bunches(texts: Sequence[str], between: str = "\n") -> list[str]:
    """The same in fewer texts: what takes its time is to ask."""
    return [between.join(texts[place : place + 60]) for place in range(0, len(texts), 60)]


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "stripped"])
def test_tokens_are_the_library_s(ask: Ask, tmp_path: Path, kind: str) -> None:
    _, theirs = loaded(KINDS[kind](tmp_path))
    theirs.decoder = theirs.decoder or decoders.ByteLevel()
    check(ask, theirs, seed=8)


@pytest.mark.parametrize("pattern", [GPT4, GPT4O], ids=["GPT-4", "GPT-4o"])
def test_patterns_of_all_characters(ask: Ask, tmp_path: Path, pattern: str) -> None:
    """Between letters, and beside each other."""
    _, theirs = loaded(split_first(tmp_path, pre_tokenizers.Split(Regex(pattern), "isolated")))
    theirs.decoder = decoders.ByteLevel()
    every = characters()
    same(ask, theirs, bunches([f"a{letter}B {letter}1{letter}'s" for letter in every]))
    same(ask, theirs, bunches(every, between=""))
    check(ask, theirs, seed=9)


def test_letters_are_composed(ask: Ask, tmp_path: Path) -> None:
    made = split_first(tmp_path)
    made.normalizer = normalizers.NFC()
    _, theirs = loaded(made)
    theirs.decoder = decoders.ByteLevel()
    marks = ["\u0301", "\u0327", "\u0323\u0302", "\u1161", "\u11a8", "\u0338", "\u3099", "\u05b4"]
    every = characters()
    same(ask, theirs, bunches([f"{letter}{mark}" for mark in marks for letter in every[:12000]]))
    same(ask, theirs, bunches([f"x{letter}" for letter in every]))
    check(ask, theirs, seed=7)


def test_what_tokens_cover(ask: Ask, tmp_path: Path) -> None:
    """The same as in the kit in Python, for answers that are spans."""
    for kind in ("bytes", "bytes after a blank", "bytes by a pattern", "letters between marks"):
        ours, theirs = loaded(KINDS[kind](tmp_path))
        texts = odd_texts(200, sorted(theirs.get_vocab()), seed=5)
        for text, found in zip(texts, ask(theirs, [{"text": text} for text in texts]), strict=True):
            assert [tuple(each) for each in found["covered"]] == ours.encode(text).covered


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("normalizer", {"type": "Precompiled"}, "normalizer must be one of BertNormalizer, NFC"),
        ("pre_tokenizer", {"type": "CharDelimiterSplit"}, "pre_tokenizer must be one of"),
        ("model", {"type": "Unigram", "vocab": []}, "model must be one of WordPiece, BPE, got Unigram"),
        ("post_processor", {"type": "Other"}, "post_processor must be a template, got Other"),
        ("decoder", {"type": "CTC"}, "decoder must be one of ByteLevel"),
        ("model", {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]]}, "must know all that it makes, got 'aa'"),
        ("model", {"type": "BPE", "vocab": {"a": -1}, "merges": []}, "model.vocab must have numbers, got -1"),
        ("model", {"type": "BPE", "vocab": {}, "merges": ["a"]}, 'model.merges must have pairs, got "a"'),
        ("model", {"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1}, "must be plain, got dropout"),
    ],
)
def test_what_the_kit_does_not_know_is_refused(ask: Ask, tmp_path: Path, part: str, value: Any, told: str) -> None:
    said = json.loads(KINDS["bytes"](tmp_path).to_str()) | {part: value}
    assert told in refused(ask, tmp_path, said)


@pytest.mark.parametrize(
    ("regex", "told"),
    [
        ("(?<=a)b", "a group of this kind"),
        ("a++", "possessive repetition"),
        ("(a?)*", "may be empty"),
        ("[a[b]]", "classes in classes"),
        (r"\bx", r"'\b'"),
        (r"\p{Greek}", "general categories"),
        ("(a", "'(' without ')'"),
        ("a)", "')' without '('"),
        ("[a", "it was cut short"),
        ("a{3,1}", "repetition must be"),
        ("a{9999}", "a number up to 1000"),
        ("^a", "'^'"),
        ("[b-a]", "a range must be"),
        ("(" * 60 + ")" * 60, "too deep"),
    ],
)
def test_patterns_that_are_not_read(ask: Ask, tmp_path: Path, regex: str, told: str) -> None:
    said = json.loads(KINDS["bytes"](tmp_path).to_str())
    said["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    assert told in refused(ask, tmp_path, said)


def refused(ask: Ask, folder: Path, said: dict[str, Any]) -> str:
    """What the program says of a tokenizer that it does not take."""

    class Saved:
        """As a tokenizer is saved."""

        @staticmethod
        def save(path: str) -> None:
            Path(path).write_text(json.dumps(said))

    with pytest.raises(AssertionError) as error:
        ask(Saved, [])  # type: ignore[arg-type]
    return str(error.value)
