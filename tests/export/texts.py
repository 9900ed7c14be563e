"""Texts that a tokenizer may trip over."""

from __future__ import annotations

import random

from tests import tiny

NASTY = (
    *("", " ", "\t\n\r", "a", "Hello, World!", "café naïve Ünïcödé ÀÉÎ", "你好世界", "日本語テキスト 한국어", "𠀀𪜀丽"),
    *("😀👨\u200d👩\u200d👧🇩🇪", "\0\x01\x07\x7f\x80\x9f", "[CLS] good [SEP] [MASK][PAD] [UNK]", "[cls] [CLS"),
    *("a" * 100, "a" * 101, "\u200b\u200c\ufeff\u00ad", "\u2028\u2029\u0085\u00a0\u3000", "İstanbul ı ſ ß ẞ Σ σς ΑΣ"),
    *("ǅ ﬁ ½ ² Ⅷ", "e\u0308a\u0301\u0327", "$100 + 5% = ~x^2|`<>", "don't", "हिन्दी ไทย עברית العربية", "\ufffd"),
    *("the film " * 400, "𝔘𝔫𝔦", "\U0010ffff\ue000"),
)  # fmt: skip

BLANK = "\u3000日本\u3000語 the\u00a0film\u0085is\x1ca\u2028lovely\ufeff plot\u200b\u1680y\x1f"
"""Words between what is blank to Python, and two that hold what is not."""


def random_texts(count: int) -> list[str]:
    """Letters of many kinds, words, special tokens and spaces in any order."""
    rng = random.Random(0)
    kinds = [
        (0x20, 0x7F),
        (0, 0x250),
        (0x300, 0x370),
        (0x370, 0x700),
        (0x2000, 0x2070),
        (0x4E00, 0x4F00),
        (0x1F300, 0x1F700),
    ]
    words = [*tiny.GOOD, *tiny.FILLER, "[CLS]", "[SEP]", "[MASK]", " ", " "]
    return [
        "".join(
            rng.choice(words) if rng.random() < 0.5 else chr(rng.randrange(*rng.choice(kinds)))
            for _ in range(rng.randint(0, 40))
        )
        for _ in range(count)
    ]


def characters() -> list[str]:
    """All of the first planes, where scripts are; of ideographs and private ones some."""
    codes = [*range(0x3100), *range(0x3100, 0xA000, 61), *range(0xA000, 0xD800, 7), *range(0xE000, 0x10000, 7)]
    return [chr(code) for code in (*codes, *range(0x10000, 0x1FB00), *range(0x1FB00, 0x110000, 997))]
