"""Near-duplicates: found where planted, and nothing else."""

from __future__ import annotations

import random

import pytest

from edgesft.data.near_duplicates import ALIKE, near_duplicates, shingles

WORDS = [a + b for a in ("ka", "lo", "mi", "tes", "ru") for b in ("ban", "det", "fo", "gil", "sor", "pin")]


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(20)) for _ in range(count)]


def test_a_changed_word_is_found() -> None:
    ours, theirs = sentences(300, 0), sentences(300, 1)
    theirs[7] = " ".join([*ours[42].split()[:-1], "other"])
    theirs[9] = f"  {ours[3].upper()} "
    found = near_duplicates(ours, theirs)
    assert {(pair.one, pair.other) for pair in found} == {(42, 7), (3, 9)}
    assert found[0].similarity == 1.0 and ALIKE <= found[1].similarity < 1


def test_equal_texts_are_told_by_themselves() -> None:
    assert near_duplicates(["the same text"], ["the same text"]) == []


@pytest.mark.parametrize("text", ["", "a", "日本", "\ud800", "x" * 10_000])
def test_any_text_has_shingles(text: str) -> None:
    assert len(shingles(text)) >= 1
    assert near_duplicates([text], [f" {text}"])[0].similarity == 1.0


def test_nothing_to_compare() -> None:
    assert near_duplicates([], ["a"]) == near_duplicates(["a"], []) == []
