from __future__ import annotations

import pytest
from markupsafe import Markup

from edgesft.report.html.markup import joined, short, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<script>", tag("b", "&")) == "<p>&lt;script&gt;<b>&amp;</b></p>"
    assert tag("p", None, 3) == "<p>3</p>" and joined([Markup("<br>"), "<br>"]) == "<br>&lt;br&gt;"


def test_attributes() -> None:
    assert tag("i", class_="a", aria_label='"><script>') == '<i class="a" aria-label="&#34;&gt;&lt;script&gt;"></i>'
    assert tag("input", value=0, checked=True, title=None, disabled=False) == '<input value="0" checked>'


def test_control_characters_and_halves_of_characters_are_replaced() -> None:
    assert tag("p", "a\x00\x1b\ud800b") == "<p>a\ufffd\ufffd\ufffdb</p>"


@pytest.mark.parametrize(("text", "found"), [("abc", "abc"), ("abcdef", "abcd…"), ("a\nb", "a b"), ("", "")])
def test_short(text: str, found: str) -> None:
    assert short(text, 5) == found
