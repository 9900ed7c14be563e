"""Latency by the length of the request, where requests differ in it."""

from __future__ import annotations

from markupsafe import Markup

from edgesft.report.html import plot
from edgesft.report.html.parts import card, table
from edgesft.report.html.rows import NS, Rows, hue, left_out, shown
from edgesft.report.table import quantiles


def lengths(rows: Rows) -> Markup | None:
    """Medians by length, a line a row; None where no row has requests of different lengths."""
    told = [row for row in rows if len(row.get("latency_by_length") or ()) > 1]
    if not told:
        return None
    drawn_rows = shown(told)
    more = -(-len(drawn_rows) // 3)
    drawn, found = plot.axes(210 + 15 * more, left=40, top=8 + 15 * more)
    handles, values = [], []
    for place, row in enumerate(drawn_rows):
        known = [each for each in row["latency_by_length"] if each["p50"] is not None]
        values += [each["p50"] / NS for each in known]
        x = [(each["low"] + each["high"]) / 2 for each in known]
        y = [each["p50"] / NS for each in known]
        handles += found.plot(x, y, "o-", color=plot.colour(hue(place)), markersize=4, linewidth=1.4)
    plot.scaled(found, [0.0], log=False)
    if values:
        plot.scaled(found, values, which="y")
    axis = told[0]["measurement"].get("axis") or "length"
    found.set_xlabel(f"{axis} of the request; on the left p50 in ms")
    plot.legend(drawn, [row["name"] for row in drawn_rows], handles)
    lines = [
        [row["name"], f"{each['low']} to {each['high']}", *quantiles(each), str(each["n"])]
        for row in told
        for each in row["latency_by_length"]
    ]
    behind = table(("model", axis, "p50, ms", "p90", "p95", "p99", "n"), lines)
    described = "; ".join(f"{line[0]} at {line[1]}: {line[2]} ms" for line in lines[:6])
    return card("By length", plot.svg(drawn, f"Latency by {axis}", described), behind, f"Medians.{left_out(told)}")
