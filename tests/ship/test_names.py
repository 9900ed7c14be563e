"""Names of files that are one file each on every system."""

from __future__ import annotations

import pytest

from edgesft.ship import names


@pytest.mark.parametrize("name", ["a", "models/fp32/model.onnx", "added_tokens.json", "c++.txt", "a_b-c.d/E.0"])
def test_portable(name: str) -> None:
    assert names.wrong(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "/a", "\\a", "C:a", "a//b", "a/", "./a", "a/../b", "..", ".git", "a.", "a b", "ä", "a\0b", "nul", "COM1.txt"],
)
def test_others(name: str) -> None:
    assert names.wrong(name)


def test_depth_and_length_are_bounded() -> None:
    assert names.wrong("a/" * 8 + "a") and names.wrong("a" * 201)


def test_clashes() -> None:
    assert list(names.clashes(["a", "b/c", "b/d"])) == []
    assert list(names.clashes(["a", "A"])) == [("a", "A")]
    assert list(names.clashes(["a", "a/b"])) == [("a", "a/b")]
    assert list(names.clashes(["A/b", "a"])) == [("A/b", "a")]
