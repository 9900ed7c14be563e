"""The page of several runs beside each other, from their `results.json` alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from edgesft.report import runs
from edgesft.report.html import plot
from edgesft.report.html.latency import latency
from edgesft.report.html.markup import tag
from edgesft.report.html.page import page, verdict
from edgesft.report.html.pareto import Spot, pareto
from edgesft.report.html.parts import SIGNS, badge, card, grid, section, table
from edgesft.report.html.placement import placement
from edgesft.report.html.rows import NS
from edgesft.report.lines import figure, figures
from edgesft.report.units import megabytes, milliseconds, percent

ROW = 38
BAR = 0.4

Named = Sequence[tuple[str, Mapping[str, Any]]]


def compared(found: Named) -> str:
    """The page.

    Args:
        found: Name of each run, no two alike, and what its `results.json` holds.
    """
    document = runs.document(found)
    rows = document["runs"]
    finals = [{**runs.final(results), "name": name, "kept": True} for name, results in found]
    cards, where = latency(finals), placement(finals)
    content = [
        section(
            "runs",
            "Runs",
            tag("div", _table(rows), class_="card"),
            lead="★ nothing here with the same metric and profile is both faster and better.",
        ),
        section("budgets", "Budgets", tag("div", _budgets(rows), class_="card"))
        if any(row["budget"] for row in rows)
        else None,
        section(
            "front",
            "Latency, size, metric",
            _mixed(rows),
            grid(
                *_fronts(rows),
                _bars(rows, "Latency, p50", "ms", "p50_ns", NS),
                _bars(rows, "Size", "MB", "size_bytes", 1e6),
            ),
        ),
        section("latency", "Latency and placement", grid(*cards, where)) if cards or where else None,
    ]
    counts = Counter(row["verdict"] for row in rows)
    sentence = ", ".join(f"{count} of {len(rows)} {name}" for name, count in counts.items()) + "."
    names = ", ".join(name for name, _ in found) if len(found) <= 3 else f"{len(found)} runs"
    return page(
        f"Comparison: {names}", "the worst verdict stands first", verdict(document["verdict"], sentence), content
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    columns = (
        "run",
        "verdict",
        "profile",
        "metric",
        "precision",
        "kept stages",
        "value %",
        "p50, ms",
        "× original",
        "p95, ms",
        "size",
        "peak",
    )
    cells = [
        [
            f"{row['name']}{' ★' if row['front'] else ''}",
            badge(row["verdict"]),
            row["profile"],
            f"{row['metric']} on {row['split']}",
            row["precision"] or "–",
            " → ".join(map(str, row["stages"])),
            "–" if row["value"] is None else percent(row["value"]),
            milliseconds(row["p50_ns"]),
            _times(row["original_p50_ns"], row["p50_ns"]),
            milliseconds(row["p95_ns"]),
            megabytes(row["size_bytes"]),
            megabytes(row["peak_memory_bytes"]),
        ]
        for row in rows
    ]
    return table(columns, cells, left=6)


def _times(old: int | None, new: int | None) -> str:
    return f"{old / new:.2f}" if old and new else "–"


def _budgets(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Runs by lines: value and verdict of each."""
    names = list(dict.fromkeys(line["name"] for row in rows for line in row["budget"]))
    body = []
    for row in rows:
        lines = {line["name"]: line for line in row["budget"]}
        body.append([row["name"], *(_line(lines.get(name)) for name in names)])
    return table(("run", *names), body, left=len(names) + 1)


def _line(line: Mapping[str, Any] | None) -> Markup | str:
    if line is None:
        return "–"
    limit, value, _ = figures(line)
    return tag("span", badge(line["verdict"], value), tag("span", f" of {limit}", class_="muted"))


def _mixed(rows: Sequence[Mapping[str, Any]]) -> Markup | None:
    machines = sorted({str(row["machine"]) for row in rows if row["machine"]})
    if len(machines) < 2:
        return None
    told = f"Measured on different machines ({', '.join(machines)}): their milliseconds do not compare."
    return tag("p", told, class_="card warn")


def _fronts(rows: Sequence[Mapping[str, Any]]) -> list[Markup | None]:
    cards = []
    for metric in dict.fromkeys(row["metric"] for row in rows):
        spots = [_spot(row) for row in rows if row["metric"] == metric and None not in (row["p50_ns"], row["value"])]
        note = "The model of each run, with one-sided 95 % bounds. ★ and dashed: the front. Colours: profile and split."
        cards.append(pareto(spots, metric, note))
    return cards


def _spot(row: Mapping[str, Any]) -> Spot:
    low, high = row["p50_bounds_ns"]
    spread = None if low is None or high is None else (low / NS, high / NS)
    lower, upper = row["value_bounds"]
    interval = None if lower is None or upper is None else (lower, upper)
    return Spot(row["name"], row["p50_ns"] / NS, spread, row["value"], interval, True, row["group"])


def _bars(rows: Sequence[Mapping[str, Any]], title: str, unit: str, name: str, base: float) -> Markup | None:
    told = [(row, row[name] / base) for row in rows if row[name] is not None]
    if not told:
        return None
    drawn, found = plot.axes(len(told) * ROW + 44)
    for place, (row, value) in enumerate(told):
        shade = {"pass": "pass", "fail": "fail", "inconclusive": "open"}[row["verdict"]]
        found.barh(place, value, height=BAR, color=plot.colour(shade))
        words = f"{SIGNS[row['verdict']]} {row['name']}: {figure(value, 3)} {unit}"
        plot.words(found, 0, place - 0.42, words)
    found.set_xlim(0, max(value for _, value in told) * 1.04 or 1)
    found.set_ylim(len(told) - 0.5, -0.75)
    found.set_yticks([])
    found.grid(False, axis="y")
    plot.scaled(found, [0.0], log=False)
    found.set_xlabel(unit)
    described = "; ".join(f"{row['name']} {figure(value, 3)} {unit}" for row, value in told)
    behind = table(("run", unit), [[row["name"], figure(value, 4)] for row, value in told])
    return card(title, plot.svg(drawn, f"{title} by run", described), behind, "The model that each run gave.")
