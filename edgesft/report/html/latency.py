"""How long inferences take: their distribution, the drift from round to round, the percentiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from edgesft.measure.measurement import STAYS
from edgesft.report.html import plot
from edgesft.report.html.parts import card, table
from edgesft.report.html.rows import NS, Rows, bounds, hue, kept, left_out, shown, sketched
from edgesft.report.table import quantiles
from edgesft.report.units import milliseconds

ROW = 54
HEIGHT = 0.58
"""Of an outline, as a share of its row."""

PERCENTILES = ("p50", "p90", "p95", "p99")
STEPS = 60
"""Of a distribution's outline."""

SMOOTHING = np.array([1, 4, 6, 4, 1]) / 16

LOGARITHMIC = 3
"""Distributions that are so many times apart would be lines on a linear axis."""

STEADY = 5
"""Per cent within which a grade A keeps its rounds (`budget.steadiness`)."""


def latency(rows: Rows) -> list[Markup | None]:
    """Cards of distributions and rounds, where the results have them, else of the percentiles with their bounds."""
    timed = [row for row in rows if (row.get("latency_ns") or {}).get("n")]
    if not timed:
        return []
    told = [(row, found) for row in shown(timed) if (found := sketched(row))]
    more = left_out(timed)
    return [_distribution(told, timed, more), _rounds(told, more)] if told else [_only_table(timed)]


def _distribution(told: list[tuple[Mapping[str, Any], Mapping[str, Any]]], timed: Rows, more: str) -> Markup:
    drawn, found = plot.axes(len(told) * ROW + 48)
    spans = [np.asarray(sketch["quantiles_ns"], float) / NS for _, sketch in told]
    low, high = min(each[0] for each in spans), max(each[99] for each in spans)
    log = plot.scaled(found, [max(low, 1e-9), high], log=low > 0 and high > LOGARITHMIC * low)
    # The slowest hundredth may be a hundred times slower than all others.
    found.set_xlim(
        (low / 1.05, high * 1.1) if log else (max(0.0, low - (high - low) * 0.04), high + (high - low) * 0.06)
    )
    for place, ((row, _), span) in enumerate(zip(told, spans, strict=True)):
        shade = plot.colour(hue(place))
        x, density = _outline(span, log=log)
        base = place + 0.5
        found.fill_between(x, base, base - density * HEIGHT, color=shade, alpha=0.45 if kept(row) else 0.2, linewidth=0)
        found.plot(x, base - density * HEIGHT, color=shade, linewidth=1)
        for p, height in ((50, HEIGHT), (95, HEIGHT / 2)):
            found.plot([span[p]] * 2, [base, base - height], color=plot.colour("ink"), linewidth=1.3)
        words = f"{row['name']}: p50 {milliseconds(int(span[50] * NS))}, p95 {milliseconds(int(span[95] * NS))} ms"
        plot.words(found, 0.0, place - 0.29, words, transform=found.get_yaxis_transform())
    found.set_ylim(len(told) - 0.4, -0.5)
    found.set_yticks([])
    found.grid(False, axis="y")
    found.set_xlabel("ms, logarithmic" if log else "ms")
    described = "; ".join(f"{row['name']} median {milliseconds(sketch['quantiles_ns'][50])} ms" for row, sketch in told)
    note = f"Outlines of all samples; ticks at p50 (tall) and p95; the slowest 1 % may lie beyond the edge.{more}"
    if any((row.get("measurement") or {}).get("io") == "device" for row in timed):
        note += f" Taken with {STAYS}."
    svg = plot.svg(drawn, "Distribution of the latency", described)
    return card("Distribution", svg, percentiles(timed), note)


def _outline(span: np.ndarray, *, log: bool) -> tuple[np.ndarray, np.ndarray]:
    """Density between the least sample and the 99th percentile, its greatest value 1."""
    low, high = max(span[0], 1e-9), span[99]
    # A little before the least sample, so that the outline begins at nothing.
    low, high = (low * (low / high) ** 0.06 * 0.999, high) if log else (low - (high - low) * 0.06 - low * 0.001, high)
    edges = np.geomspace(low, high, STEPS + 1) if log else np.linspace(low, high, STEPS + 1)
    below = np.interp(edges, span, np.arange(101) / 100)
    density = np.convolve(np.diff(below), SMOOTHING, mode="same")
    middles = np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2
    return middles, density / (density.max() or 1.0)


def _rounds(told: list[tuple[Mapping[str, Any], Mapping[str, Any]]], more: str) -> Markup | None:
    longer = [(row, sketch["rounds_p50_ns"]) for row, sketch in told if len(sketch["rounds_p50_ns"]) > 1]
    if not longer:
        return None
    lines = -(-len(longer) // 3)
    drawn, found = plot.axes(220 + 15 * lines, left=34, top=8 + 15 * lines)
    handles, reached = [], [-float(STEADY), float(STEADY)]
    for place, (_, medians) in enumerate(longer):
        apart = (np.asarray(medians, float) / np.median(medians) - 1) * 100
        style = "-" if place < 4 else "--"
        handles += found.plot(range(1, len(medians) + 1), apart, style, color=plot.colour(hue(place)), linewidth=1.4)
        reached += [float(apart.min()), float(apart.max())]
    found.axhspan(-STEADY, STEADY, color=plot.colour("line"), alpha=0.35, linewidth=0)
    room = (max(reached) - min(reached)) * 0.05
    found.set_ylim(min(reached) - room, max(reached) + room)
    plot.scaled(found, [0.0], log=False)
    plot.scaled(found, [0.0], log=False, which="y")
    found.set_xlabel("round")
    plot.legend(drawn, [row["name"] for row, _ in longer], handles)
    described = "; ".join(f"{row['name']} drifted by {_drift(row)}" for row, _ in longer)
    behind = table(
        ("model", "drift", "spread", "grade", "medians of the rounds, ms"),
        [
            [
                row["name"],
                _drift(row),
                _percent(row["measurement"].get("spread")),
                row["measurement"].get("grade") or "–",
                ms,
            ]
            for row, ms in ((row, Markup(" ").join(milliseconds(each) for each in medians)) for row, medians in longer)
        ],
    )
    note = f"Median of each round against the row's own, in %; grey: within {STEADY} %. A slope is drift.{more}"
    return card("Round by round", plot.svg(drawn, "Medians of the rounds", described), behind, note)


def _drift(row: Mapping[str, Any]) -> str:
    drift = row["measurement"].get("drift")
    return "–" if drift is None else f"{(drift - 1) * 100:+.1f} %"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def _only_table(timed: Rows) -> Markup:
    note = "These results have no samples, so no distribution can be drawn."
    return card("Percentiles", percentiles(timed), None, note)


def percentiles(rows: Rows) -> Markup:
    """Each percentile in milliseconds with its one-sided bounds."""
    lines = []
    for row in rows:
        found = row["latency_ns"]
        told = [
            f"{text} ({milliseconds(int(span[0]))} to {milliseconds(int(span[1]))})"
            if (span := bounds(row, p))
            else text
            for p, text in zip(PERCENTILES, quantiles(found), strict=True)
        ]
        lines.append([row["name"], *told, f"{found['n']}", (row.get("measurement") or {}).get("grade") or "–"])
    return table(
        ("model", *(f"{p}, ms" for p in PERCENTILES), "n", "grade"), lines, out=[not kept(row) for row in rows]
    )
