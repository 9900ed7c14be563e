from __future__ import annotations

import pytest

from edgesft.report.html import plot
from edgesft.report.html.style import DARK, LIGHT
from tests.report.html.reading import Page


def drawn(label: str = "a label") -> str:
    figure, axes = plot.axes(120)
    axes.plot([1.23456789, 2.5], [0.1, 0.987654321], color=plot.colour("c1"), label=label)
    axes.fill_between([1, 2], [0, 1], color=plot.colour("pass"), alpha=0.5)
    plot.words(axes, 1, 0.5, label)
    return str(plot.svg(figure, f"About {label}", "What is to be seen"))


def test_colours_are_the_page_s_and_text_is_text() -> None:
    text = drawn()
    assert "var(--c1)" in text and "var(--pass)" in text and "#0b" not in text
    assert "font-family" not in text and ">a label</text>" in text
    page = Page(text)
    assert not page.wrong
    assert page.all("svg")[0] == {
        "class": "plot",
        "viewbox": "0 0 360 120",
        "role": "img",
        "aria-label": "About a label",
    }
    assert page.text.startswith("About a labelWhat is to be seen")


@pytest.mark.parametrize(
    "label", ["</text><script>alert(1)</script>", "$x^{2$", "$\\frac{", "100 % & more", "标签 🙂", "\x00\x1b\ud800"]
)
def test_any_label_is_shown_as_it_is(label: str) -> None:
    page = Page(drawn(label))
    assert not page.wrong and not page.outside()
    shown = label.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", "\ufffd")
    assert page.text.count(shown) == 2


def test_the_same_figures_give_the_same_plot_without_a_date() -> None:
    assert drawn() == drawn() and "20" not in drawn().replace("0 0 360 120", "").split("<g>")[0]


def test_no_more_digits_than_can_be_seen() -> None:
    import re

    assert not re.search(r"\d\.\d{3}", drawn())


@pytest.mark.parametrize(
    ("values", "log"), [([1, 5], False), ([1, 50], True), ([0, 50], False), ([-1, 50], False), ([], False)]
)
def test_a_wide_range_is_logarithmic(values: list[float], log: bool) -> None:
    figure, axes = plot.axes(100)
    axes.plot(values, values)
    assert plot.scaled(axes, values) == log and axes.get_xscale() == ("log" if log else "linear")
    assert "$" not in str(plot.svg(figure, "t", "d"))


def test_every_colour_has_a_night_side() -> None:
    assert LIGHT.keys() == DARK.keys() and len(set(plot.COLOURS.values())) == len(LIGHT)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_colours_can_be_read_on_the_page(colours: dict[str, str]) -> None:
    """WCAG 2.2, 1.4.3: text needs a contrast of 4.5."""
    for name, value in colours.items():
        if name not in ("bg", "surface", "line"):
            for behind in ("bg", "surface"):
                assert contrast(value, colours[behind]) >= 4.5, (name, behind)


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(value: str) -> float:
    parts = [int(value[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
