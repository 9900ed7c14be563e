"""What each stage bought: a figure that falls or rises from stage to stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from edgesft.budget.metric import scale
from edgesft.report.html import plot
from edgesft.report.html.parts import card, grid, table
from edgesft.report.html.rows import NS, Rows, kept, p50
from edgesft.report.lines import figure

ROW = 38
"""Height of a stage."""

BAR = 0.42

Value = Callable[[Mapping[str, Any]], float | None]


def waterfall(rows: Rows, metric: str, split: str, allowed: float | None = None) -> Markup:
    """Latency, size and the deciding metric, stage by stage.

    Args:
        rows: The stages of `results.json`.
        metric: The one that decides.
        split: What it was taken on.
        allowed: How far it may fall below the first row's, where the budget says so.
    """
    return grid(
        _falling(rows, "Latency, p50", "ms", _latency),
        _falling(rows, "Size", "MB", lambda row: row["size_bytes"] / 1e6),
        _levels(rows, metric, split, allowed),
    )


def _latency(row: Mapping[str, Any]) -> float | None:
    found = p50(row)
    return None if found is None else found / NS


def _falling(rows: Rows, title: str, unit: str, value: Value) -> Markup | None:
    told = [(row, known) for row in rows if (known := value(row)) is not None]
    if not told:
        return None
    drawn, found = plot.axes(len(told) * ROW + 44)
    standing, lines = 0.0, []
    for place, (row, new) in enumerate(told):
        first, stays = place == 0, kept(row)
        start = 0.0 if first else standing
        better = new <= start
        shade = plot.colour("muted" if first else "pass" if better else "fail")
        style: dict[str, Any] = (
            {"color": shade} if stays else {"facecolor": "none", "edgecolor": shade, "linestyle": ":"}
        )
        found.barh(place, new - start, height=BAR, left=start, **style)
        if not first:
            found.plot(
                [start, start], [place - 1 + BAR / 2, place + BAR / 2], color=plot.colour("muted"), linewidth=0.8
            )
        change = "" if first else _change(start, new)
        words = f"{row['name']}: {figure(new, 3)} {unit}{change}{'' if stays else ', rolled back'}"
        plot.words(found, 0, place - 0.42, words, color=plot.colour("ink" if stays else "muted"))
        lines.append([row["name"], figure(new, 4), change.strip(", "), "yes" if stays else "no"])
        standing = new if stays else standing
    _ready(found, len(told), max(new for _, new in told), unit)
    described = "; ".join(f"{line[0]} {line[1]} {unit}" for line in lines)
    note = "Solid: kept. Dotted: tried and rolled back."
    behind = table(("stage", unit, "change", "kept"), lines, out=[not kept(row) for row, _ in told])
    return card(title, plot.svg(drawn, f"{title} by stage", described), behind, note)


def _change(start: float, new: float) -> str:
    return f", {(new - start) / start * 100:+.0f} %" if start else ""


def _ready(found: Any, count: int, most: float, unit: str) -> None:
    found.set_xlim(0, most * 1.04 or 1)
    found.set_ylim(count - 0.5, -0.75)
    found.set_yticks([])
    found.grid(False, axis="y")
    plot.scaled(found, [0.0], log=False)
    found.set_xlabel(unit)


def _levels(rows: Rows, metric: str, split: str, allowed: float | None) -> Markup | None:
    told = [(row, row["levels"][metric]) for row in rows if metric in row.get("levels", {})]
    if not told:
        return None
    drawn, found = plot.axes(len(told) * ROW + 44)
    lines, edges, of = [], [], scale(metric)
    for place, (row, level) in enumerate(told):
        stays, drop = kept(row), row.get("drops", {}).get(metric) or {}
        value = level["value"] * of.times
        lower, upper = (None if level[name] is None else level[name] * of.times for name in ("lower", "upper"))
        shade = plot.colour("c1" if stays else "muted")
        if lower is not None and upper is not None:
            found.plot([lower, upper], [place, place], color=shade, linewidth=2.2, solid_capstyle="butt")
        edges += [each for each in (lower, value, upper) if each is not None]
        found.plot([value], [place], "o", color=shade, markersize=8, markerfacecolor=shade if stays else "none")
        change = "" if not drop.get("value") else f", {of.change(-drop['value'])}"
        words = f"{row['name']}: {of.number(level['value'])}{change}{'' if stays else ', rolled back'}"
        lines.append([row["name"], of.number(level["value"]), _span(lower, upper), change.strip(", ")])
        plot.words(
            found,
            0.0,
            place - 0.42,
            words,
            transform=found.get_yaxis_transform(),
            color=plot.colour("ink" if stays else "muted"),
        )
    limit = None if allowed is None else (told[0][1]["value"] - allowed) * of.times
    if limit is not None:
        edges.append(limit)
        found.axvline(limit, color=plot.colour("fail"), linewidth=1.4, linestyle="--", zorder=1)
    room = max((max(edges) - min(edges)) * 0.06, 0.1)
    _ready(found, len(told), 1, f"{metric} on {split}, {of.unit}")
    found.set_xlim(min(edges) - room, max(edges) + room)
    described = "; ".join(f"{line[0]} {line[1]} ({line[2]})" for line in lines)
    note = "Lines: one-sided 95 % bounds over the rows." + (
        " Dashed: the lowest value allowed." if allowed is not None else ""
    )
    behind = table(("stage", of.unit, "interval", "change"), lines, out=[not kept(row) for row, _ in told])
    return card(f"{metric} on {split}", plot.svg(drawn, f"{metric} by stage", described), behind, note)


def _span(lower: float | None, upper: float | None) -> str:
    return "–" if lower is None or upper is None else f"{lower:.1f} to {upper:.1f}"


def allowance(lines: Sequence[Mapping[str, Any]], metric: str) -> float | None:
    """How far the metric may fall, by the budget's line on it."""
    return next((line["limit"] for line in lines if line["name"] == f"max_drop.{metric}"), None)
