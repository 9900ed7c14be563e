"""What the pages are put together from: tables, cards, sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from edgesft.report.html.markup import joined, tag

SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "accepted": "✓", "shown": "·"}
"""Verdict → its sign: colours alone tell some readers nothing."""


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1, out: Sequence[bool] = ()
) -> Markup:
    """A table that scrolls by itself where the page is narrow.

    Args:
        columns: Their names; the first `left` hold words, the others figures.
        rows: Their cells; words stand left in any column where they are markup.
        left: How many columns hold words.
        out: Which rows are of what was rolled back.
    """
    named = tag("tr", *(tag("th", name, scope="col", class_=_side(place, left)) for place, name in enumerate(columns)))
    body = [
        tag(
            "tr",
            *(tag("td", cell, class_=_side(place, left)) for place, cell in enumerate(row)),
            class_="out" if number < len(out) and out[number] else None,
        )
        for number, row in enumerate(rows)
    ]
    head = tag("thead", named) if any(columns) else None
    whole = tag("table", head, tag("tbody", *body))
    # Reached by the keyboard, or nobody without a mouse could scroll it.
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label="table")


def details(summary: str, *content: object) -> Markup:
    """What is shown when it is asked for."""
    return tag("details", tag("summary", summary), *content)


def card(
    title: str, plot: Markup | None, behind: Markup | None = None, note: object = None, key: object = None
) -> Markup:
    """A plot with its title, what to know of it, and the numbers behind it."""
    caption = tag("figcaption", tag("h3", title), tag("p", note) if note else None)
    numbers = details("Numbers", behind) if behind is not None else None
    return tag("figure", caption, plot, key, numbers, class_="card")


def grid(*cards: Markup | None) -> Markup:
    """Cards beside each other as far as they fit."""
    return tag("div", *(card for card in cards if card is not None), class_="grid")


def section(identity: str, title: str, *content: object, lead: object = None) -> Markup:
    """A part of the page that can be linked to."""
    return tag("section", tag("h2", title, id=identity), tag("p", lead, class_="lead") if lead else None, *content)


def badge(verdict: str, words: str | None = None) -> Markup:
    """A verdict with its sign."""
    return tag("span", f"{SIGNS.get(verdict, '·')} {words or verdict}", class_=f"badge {verdict}")


def bullets(lines: Iterable[object]) -> Markup | None:
    """Lines below each other; None where there are none."""
    items = [tag("li", line) for line in lines]
    return tag("ul", *items, class_="plain") if items else None


def tiles(found: Iterable[tuple[str, str, str]]) -> Markup:
    """Figures to see first: name, value, and what to know of it."""
    cells = [
        tag(
            "div",
            tag("dt", name),
            tag("dd", tag("span", value, class_="big"), tag("span", note, class_="note")),
            class_="tile",
        )
        for name, value, note in found
    ]
    return tag("dl", *cells, class_="tiles")


def facts(values: Mapping[str, object]) -> Markup:
    """Names and values in two columns; what is None or empty is left out."""
    rows = [(name, joined([value])) for name, value in values.items() if value not in (None, "", (), [])]
    return table(("", ""), rows, left=2)


def _side(place: int, left: int) -> str | None:
    return "num" if place >= left else None
