"""Difficult inputs on which implementations of preprocessing often differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

TEXTS: Mapping[str, str] = {
    "nothing": "",
    "blanks": "   ",
    "control characters": "\x00a\x01b\tc\r\nd\x7f",
    "accents, composed": "wörld naïve café Ångström",
    "accents, combining": "wo\u0308rld nai\u0308ve cafe\u0301",
    "combining marks out of order": "q\u0307\u0323 a\u0301\u0328",
    "a mark at the start": "\u0301abc",
    "capitals with more than one small letter": "İstanbul ẞ ΣΑΣ ΟΔΟΣ",
    "ligatures and fractions": "ﬁne oﬃce ½ ① ² ™ №",
    "full width": "ＡＢＣ１２３！？（ａ）",
    "quotes and dashes": "don't “quoted” ‘single’ — dash… x·y",
    "Chinese": "这部电影很好看，我非常喜欢！",
    "Japanese": "映画がとても面白かったです。ガギグ",
    "Korean": "영화가 정말 재미있었어요.",
    "Arabic with vowels": "مُحَمَّد كِتَاب",
    "Hebrew with vowels": "שָׁלוֹם עוֹלָם",
    "Hindi": "यह फ़िल्म बहुत अच्छी है।",
    "Thai": "หนังเรื่องนี้สนุกมาก",
    "Vietnamese": "Bộ phim này rất hay và cảm động",
    "emoji": "great 😀👍🏽👩‍👩‍👧 film ❤️",
    "beyond the basic multilingual plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠀀",
    "invisible characters": "a\u200bb\u00adc\u200dd\ufeffe\u2060f",
    "other whitespace": "a\u00a0b\u2003c\u3000d\u2028e\u1680f",
    "the replacement character": "broken \ufffd text",
    "unassigned code points": "a\ue000b\uffffc\U0010ffffd",
    "special tokens": "[CLS] a [SEP] b [MASK][PAD] [UNK]",
    "special tokens within words": "x[SEP]y [SEP [sep] SEP] [[MASK]]",
    "special tokens of other models": "<s> a </s> <mask> <|endoftext|>",
    "markers of word pieces": "##ing ## #a ▁b Ġc",
    "punctuation alone": "!?.,;:-_()[]{}'\"/\\|@#$%^&*+=~`<>",
    "numbers": "3.14 1,000,000 2026-11-29 0x1F 50%",
    "an address": "https://example.com/a?b=c&d=e#f me@example.com",
    "a word outside the vocabulary": "pneumonoultramicroscopicsilicovolcanoconiosis zzzxqj",
    "a word of 100 letters": "x" * 100,
    "a word of 101 letters": "x" * 101,
    "a word of 5000 letters": "ab" * 2500,
    "2000 words": "a good film and a bad end " * 334,
    "2000 characters without a blank": "好" * 2000,
    "2000 accents": "é" * 1000 + "e\u0301" * 1000,
}
"""Name → text. What UTF-8 cannot say, halves of surrogate pairs, is not among them."""

SIDES: Mapping[str, tuple[int, int, int]] = {
    "one pixel": (1, 1, 3),
    "grey": (97, 61, 1),
    "with transparency": (64, 80, 4),
    "small": (5, 3, 3),
    "odd sides": (333, 217, 3),
    "flat": (12, 400, 3),
    "narrow": (400, 12, 3),
    "large": (900, 1200, 3),
}
"""Name → height, width and channels of a picture."""


def pictures() -> dict[str, np.ndarray]:
    """Name → pixels, uint8 of shape [height, width, channels]: noisy slopes, and black and white squares."""
    rng = np.random.default_rng(0)
    found = {}
    for name, (height, width, channels) in SIDES.items():
        slopes = np.add.outer(np.linspace(0, 128, height), np.linspace(0, 90, width))[..., np.newaxis]
        noise = rng.integers(0, 38, (height, width, channels))
        found[name] = (slopes + noise).astype(np.uint8)
    squares = (np.add.outer(np.arange(160) // 5, np.arange(160) // 5) % 2 * 255).astype(np.uint8)
    found["squares"] = np.repeat(squares[..., np.newaxis], 3, axis=2)
    return found
