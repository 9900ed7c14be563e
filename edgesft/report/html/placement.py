"""Where the nodes run: how many each provider took, in how many pieces, and what it left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.report.html import plot
from edgesft.report.html.markup import tag
from edgesft.report.html.parts import card, table
from edgesft.report.html.rows import Rows, hue
from edgesft.report.units import percent

ROW = 38
MOST = 16
"""Rows that are drawn."""

BAR = 0.4


def placement(rows: Rows) -> Markup | None:
    """Shares of the nodes by provider; None where no row's runtime told."""
    told = [row for row in rows if (row.get("measurement") or {}).get("placement")]
    if not told:
        return None
    providers = list(dict.fromkeys(name for row in told for name in row["measurement"]["placement"]))
    drawn, found = plot.axes(len(told[:MOST]) * ROW + 44)
    for place, row in enumerate(told[:MOST]):
        counts, start = row["measurement"]["placement"], 0.0
        whole = sum(counts.values())
        for name, count in counts.items():
            share = count / whole * 100
            shade = plot.colour(hue(providers.index(name)))
            found.barh(place, share, height=BAR, left=start, color=shade, edgecolor=plot.colour("surface"), linewidth=1)
            start += share
        plot.words(found, 0.0, place - 0.42, f"{row['name']}: {_words(row['measurement'])}")
    found.set_xlim(0, 100)
    found.set_ylim(len(told[:MOST]) - 0.5, -0.75)
    found.set_yticks([])
    found.grid(False, axis="y")
    plot.scaled(found, [0.0], log=False)
    found.set_xlabel("share of the nodes, %")
    described = "; ".join(f"{row['name']}: {_words(row['measurement'])}" for row in told)
    key = tag(
        "ul",
        *(
            tag("li", tag("i", "■", style=f"--k:var(--{hue(place)})"), f" {name}")
            for place, name in enumerate(providers)
        ),
        class_="key",
    )
    svg = plot.svg(drawn, "Placement of the nodes", described)
    return card("Nodes by provider", svg, _behind(told), "As recorded by the session itself.", key)


def _words(measured: Mapping[str, Any]) -> str:
    on = measured["placement"].get(measured.get("provider"), None)
    parts = measured.get("partitions")
    pieces = "" if parts is None else f" in {parts} {'partition' if parts == 1 else 'partitions'}"
    whole = sum(measured["placement"].values())
    if on is None:
        on = round((measured.get("share") or 0) * whole)
    return f"{on} of {whole} nodes{pieces}"


def _behind(rows: Rows) -> Markup:
    lines = []
    for row in rows:
        measured = row["measurement"]
        left = sorted((measured.get("left") or {}).items(), key=lambda item: -item[1])
        lines.append(
            [
                row["name"],
                str(row.get("provider") or measured.get("provider")),
                ", ".join(f"{name} {count}" for name, count in measured["placement"].items()),
                ", ".join(f"{op} × {count}" for op, count in left) or "none",
                ", ".join(f"{name} {percent(share)} %" for name, share in (row.get("time_shares") or {}).items())
                or "–",
                "–" if measured.get("partitions") is None else str(measured["partitions"]),
            ]
        )
    return table(("model", "asked for", "nodes", "not on it", "share of the time", "partitions"), lines, left=5)
