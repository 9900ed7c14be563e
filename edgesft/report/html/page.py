"""A whole page from its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from edgesft import __version__
from edgesft.report.html.markup import joined, tag
from edgesft.report.html.parts import SIGNS
from edgesft.report.html.style import css

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'"
"""Nothing is fetched, and nothing runs, whatever a label says."""

TITLES = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive"}


def page(title: str, subtitle: str, verdict: Markup | None, content: Iterable[object], *, contents: bool = True) -> str:
    """The file's text.

    Args:
        title: What the page is of.
        subtitle: Where and how it was found.
        verdict: What comes first.
        content: Sections.
        contents: Whether the sections are listed at the top.
    """
    body = joined(content)
    header = tag(
        "header", tag("h1", title), tag("p", subtitle, class_="muted"), verdict, _contents(body) if contents else None
    )
    footer = tag("footer", f"Made by edgesft {__version__}. This page loads nothing from the network.")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Markup('<meta http-equiv="Content-Security-Policy" content="{}">').format(POLICY),
        tag("meta", name="referrer", content="no-referrer"),
        Markup('<link rel="icon" href="data:,">'),
        tag("title", title),
        tag("style", Markup(css())),  # noqa: S704 - our own
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', header, tag('main', body), footer), lang='en')}\n"


def verdict(found: str, sentence: str) -> Markup:
    """The first thing to read."""
    told = tag("b", f"{SIGNS[found]} {TITLES[found]}")
    return tag("div", told, tag("span", sentence), class_=f"verdict {found}", role="status")


def lines(found: Sequence[dict[str, object]]) -> str:
    """`All 3 lines of the budget hold.`, or which do not."""
    if not found:
        return "No limit was set."
    wrong = {
        kind: [str(line["name"]) for line in found if line["verdict"] == kind] for kind in ("fail", "inconclusive")
    }
    told = [
        f"{len(names)} of {len(found)} lines {_verb(kind, len(names))}: {', '.join(names)}."
        for kind, names in wrong.items()
        if names
    ]
    if told:
        return " ".join(told)
    return "The one line of the budget holds." if len(found) == 1 else f"All {len(found)} lines of the budget hold."


def _verb(kind: str, count: int) -> str:
    if kind == "fail":
        return "fails" if count == 1 else "fail"
    return "is inconclusive" if count == 1 else "are inconclusive"


def _contents(body: Markup) -> Markup | None:
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body)
    if len(found) < 2:
        return None
    links = [tag("a", Markup(title), href=f"#{identity}") for identity, title in found]  # noqa: S704 - out of the page
    return tag("nav", *links, class_="toc", aria_label="Sections")
