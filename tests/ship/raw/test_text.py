"""The graph of a tokenizer gives the tokens of the library tokenizers, of every text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edgesft.errors import StageError
from edgesft.ship.raw import text, vocabulary
from edgesft.ship.raw.edge_cases import TEXTS
from edgesft.ship.raw.nodes import Nodes
from tests.ship.raw.written import run

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789éüñßжд漢字かな한글!?.,[]#'-"
WORDS = ("the", "film", "is", "good", "un", "##believ", "##able", "##ing", "##s", "naïve", "naive", "café", "cafe")
MOST = 24
WAY = {"split_special_tokens": False, "truncation_side": "right"}


def tokenizer(normalizer: Any = None, split: Any = None, **changes: Any) -> Tokenizer:
    """A WordPiece tokenizer; `changes` are of its model."""
    pieces = [*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    numbers = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]", **changes))
    made.normalizer = normalizer or normalizers.BertNormalizer()
    made.pre_tokenizer = split or pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", numbers["[SEP]"]), ("[CLS]", numbers["[CLS]"]))
    made.add_special_tokens(list(SPECIAL))
    return made


def graph(made: Tokenizer, folder: Path, most: int = MOST, **way: Any) -> Callable[[str], list[int]]:
    """Its tokens by the graph."""
    file = folder / "tokenizer.json"
    made.save(str(file))
    known = vocabulary.read(file, {**WAY, **way})
    n = Nodes()
    fields = text.fields(n, text.tokens(n, "text", known).ids, known, most)
    answer = run(n, {"text": ("uint8", ["bytes"])}, {"ids": (fields["ids"], "int64")})
    return lambda given: answer(text=np.frombuffer(given.encode(), np.uint8))[0][0].tolist()


def anything(count: int, seed: int = 0) -> list[str]:
    """Texts of code points from everywhere."""
    rng = random.Random(seed)
    ranges = ((32, 127), (0x80, 0x250), (0x2E0, 0x370), (0x250, 0xD800), (0xE000, 0x110000), (32, 33))
    return [
        "".join(
            rng.choice(LETTERS) if rng.random() < 0.5 else chr(rng.randrange(*rng.choice(ranges)))
            for _ in range(rng.randrange(1, 40))
        )
        for _ in range(count)
    ]


def same(made: Tokenizer, answer: Callable[[str], list[int]], texts: list[str]) -> None:
    for each in texts:
        assert answer(each) == made.encode(each).ids, each


@pytest.mark.parametrize(
    ("normalizer", "split"),
    [
        (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
        (normalizers.BertNormalizer(lowercase=False, strip_accents=False), pre_tokenizers.BertPreTokenizer()),
        (
            normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]),
            pre_tokenizers.WhitespaceSplit(),
        ),
    ],
    ids=["uncased", "cased", "whitespace"],
)
def test_hard_texts_and_random_ones(normalizer: Any, split: Any, tmp_path: Path) -> None:
    made = tokenizer(normalizer, split)
    answer = graph(made, tmp_path)
    made.enable_truncation(MOST)
    same(made, answer, [*TEXTS.values(), *anything(200)])


def test_special_tokens_are_plain_text_where_the_contract_says_so(tmp_path: Path) -> None:
    made = tokenizer()
    answer = graph(made, tmp_path, split_special_tokens=True)
    made.encode_special_tokens = True
    made.enable_truncation(MOST)
    same(made, answer, ["[SEP] is [CLS]", "x[MASK]y", *TEXTS.values()])
    assert answer("[SEP]") != graph(made, tmp_path)("[SEP]")


@pytest.mark.parametrize("most", [2, 3, 9])
def test_cut_on_the_left(most: int, tmp_path: Path) -> None:
    made = tokenizer()
    answer = graph(made, tmp_path, most, truncation_side="left")
    made.enable_truncation(most, direction="left")
    same(made, answer, list(TEXTS.values()))


def test_words_that_are_too_long_and_words_that_are_known_whole(tmp_path: Path) -> None:
    made = tokenizer(max_input_chars_per_word=5)
    same(made, graph(made, tmp_path), ["good films", "unbelievable", "abcde abcdef abcd", ""])
    numbers = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "good": 3, "film": 4}
    whole = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    whole.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    same(whole, graph(whole, tmp_path), ["good film", "goodfilm good", "goo film.", "", "  film "])


def test_names_of_which_one_begins_like_another(tmp_path: Path) -> None:
    made = tokenizer()
    made.add_special_tokens(["<a>", "<ab>", "<abc"])
    answer = graph(made, tmp_path)
    made.enable_truncation(MOST)
    same(made, answer, ["<a><ab><abc>", "x<ab", "<abc<a>good", "<<a>>"])


def test_lines_of_tokens(tmp_path: Path) -> None:
    made = tokenizer()
    made.save(str(tmp_path / "tokenizer.json"))
    known = vocabulary.read(tmp_path / "tokenizer.json", WAY)
    n = Nodes()
    found = text.tokens(n, "words", known, lines=True)
    outputs = {"lines": (text.lines_of(n, found, known, 8), "int64"), "count": (found.count, "int64")}
    answer = run(n, {"words": ("uint8", ["bytes"])}, outputs)
    lines, count = answer(words=np.frombuffer("unbelievable\n\u200b\n漢字\ngood a b c".encode(), np.uint8))
    assert lines.tolist() == [-1, 0, 0, 0, 2, 2, 3, -1] and count.tolist() == [4]


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    made = tokenizer()
    made.save(str(tmp_path / "tokenizer.json"))
    known = vocabulary.read(tmp_path / "tokenizer.json", WAY)
    n = Nodes()
    answer = run(n, {"text": ("uint8", ["bytes"])}, {"ids": (text.tokens(n, "text", known).ids, "int64")})
    rng = np.random.default_rng(0)
    for _ in range(50):
        (ids,) = answer(text=rng.integers(0, 256, 30).astype(np.uint8))
        assert ((ids >= 0) & (ids < made.get_vocab_size())).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: said["model"].update(type="Unigram"), "model Unigram, not WordPiece or WordLevel"),
        (lambda said: said.update(normalizer={"type": "NFKC"}), "normalizer NFKC, not BertNormalizer"),
        (
            lambda said: said.update(pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Metaspace"}]}),
            "pre_tokenizer Metaspace, not BertPreTokenizer",
        ),
        (lambda said: said["added_tokens"][0].update(single_word=True), "added token '[PAD]' that is looked for"),
        (lambda said: said["added_tokens"][0].update(content="K]["), "added tokens '[UNK]' and 'K]['"),
    ],
)
def test_what_no_graph_is_written_for(change: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    made = tokenizer()
    made.save(str(tmp_path / "tokenizer.json"))
    said = json.loads((tmp_path / "tokenizer.json").read_text())
    change(said)
    (tmp_path / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(StageError) as caught:
        vocabulary.read(tmp_path / "tokenizer.json", WAY)
    assert words in str(caught.value)
