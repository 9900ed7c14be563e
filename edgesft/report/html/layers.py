"""Where the time of one inference goes: by type of operator, by layer, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from edgesft.report.html import plot
from edgesft.report.html.markup import tag
from edgesft.report.html.parts import bullets, card, grid, table
from edgesft.report.html.rows import hue
from edgesft.report.units import count, milliseconds, percent

ROW = 30
MOST = 10
BAR = 0.36


def layers(told: Mapping[str, Any], name: str) -> Markup:
    """Time by operator and by layer, with what bounds each, and the advice.

    Args:
        told: `Explanation.to_json()`.
        name: Of the model.
    """
    operators = [(each["op"], each["ns"], each["share"]) for each in told["operators"][:MOST]]
    longest = [(each["name"], each["ns"], each["share"]) for each in told["layers"][:MOST]]
    advice = bullets(each["text"] for each in told["advice"])
    return grid(
        _bars(f"{name}: by operator", operators, None, _operators(told)),
        _bars(f"{name}: longest layers", longest, [each["bound"] for each in told["layers"][:MOST]], _layers(told)),
        tag("div", tag("h3", "What to try"), advice, class_="card") if advice else None,
    )


def _bars(
    title: str, rows: Sequence[tuple[str, int, float]], bound: Sequence[str | None] | None, behind: Markup
) -> Markup | None:
    if not rows:
        return None
    drawn, found = plot.axes(len(rows) * ROW + 44)
    kinds = sorted({each for each in bound or () if each})
    for place, (name, ns, share) in enumerate(rows):
        kind = bound[place] if bound else None
        shade = plot.colour(hue(kinds.index(kind) if kind else 0) if kind or not bound else "muted")
        found.barh(place + 0.1, share * 100, height=BAR, color=shade)
        plot.words(found, 0.0, place - 0.3, _middle(name, 28), most=30)
        figures = f"{milliseconds(ns)} ms, {percent(share)} %"
        plot.words(
            found,
            1.0,
            place - 0.3,
            figures,
            transform=found.get_yaxis_transform(),
            ha="right",
            color=plot.colour("muted"),
            fontsize=plot.SMALL,
        )
    found.set_xlim(0, max(share for _, _, share in rows) * 104)
    found.set_ylim(len(rows) - 0.5, -0.65)
    found.set_yticks([])
    found.grid(False, axis="y")
    plot.scaled(found, [0.0], log=False)
    found.set_xlabel("share of the latency, %")
    described = "; ".join(f"{name} {percent(share)} %" for name, _, share in rows)
    key = None
    if kinds:
        items = (
            tag("li", tag("i", "■", style=f"--k:var(--{hue(place)})"), f" bound by {kind}")
            for place, kind in enumerate(kinds)
        )
        key = tag("ul", *items, class_="key")
    return card(title, plot.svg(drawn, f"Time of {title}", described), behind, None, key)


def _middle(name: str, most: int) -> str:
    """Names of layers tell most at their end."""
    return name if len(name) <= most else f"…{name[-most + 1 :]}"


def _operators(told: Mapping[str, Any]) -> Markup:
    rows = [
        [each["op"], str(each["calls"]), milliseconds(each["ns"]), percent(each["share"]), count(each["macs"])]
        for each in told["operators"]
    ]
    return table(("operator", "calls", "ms", "share %", "MACs"), rows)


def _layers(told: Mapping[str, Any]) -> Markup:
    rows = [
        [
            each["name"],
            each["op"],
            each["bound"] or "–",
            milliseconds(each["ns"]),
            percent(each["share"]),
            count(each["macs"]),
            "–" if each["distance"] is None else f"{each['distance']:.1f}",
        ]
        for each in told["layers"]
    ]
    return table(("layer", "operator", "bound by", "ms", "share %", "MACs", "× its floor"), rows, left=3)
