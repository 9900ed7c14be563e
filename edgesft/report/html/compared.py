"""The page of several runs beside each other, from their `results.json` alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from edgesft.budget.metric import scale
from edgesft.report import runs
from edgesft.report.html import plot
from edgesft.report.html.latency import latency
from edgesft.report.html.markup import tag
from edgesft.report.html.page import page, verdict
from edgesft.report.html.pareto import Spot, pareto
from edgesft.report.html.parts import SIGNS, badge, card, grid, section, table, tiles
from edgesft.report.html.placement import placement
from edgesft.report.html.rows import NS
from edgesft.report.lines import figure, figures
from edgesft.report.recipes import differences
from edgesft.report.stages import final
from edgesft.report.units import megabytes, milliseconds

ROW = 38
BAR = 0.4

MOST = 60
"""Keys of recipes that are told."""

Named = Sequence[tuple[str, Mapping[str, Any]]]


def compared(found: Named) -> str:
    """The page.

    Args:
        found: Name of each run, no two alike, and what its `results.json` holds.
    """
    document = runs.document(found)
    rows = document["runs"]
    finals = [{**final(results), "name": name, "kept": True} for name, results in found]
    cards, where = latency(finals), placement(finals)
    content = [
        tiles(_against(rows)) if len(rows) == 2 else None,
        section(
            "runs",
            "Runs",
            tag("div", _table(rows), class_="card"),
            lead="★ no other run with the same metric and profile is both faster and better.",
        ),
        _budgets(rows),
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
        _recipes(found),
    ]
    counts = Counter(row["verdict"] for row in rows)
    sentence = ", ".join(f"{count} of {len(rows)} {name}" for name, count in counts.items()) + "."
    names = ", ".join(name for name, _ in found) if len(found) <= 3 else f"{len(found)} runs"
    return page(f"Comparison: {names}", "worst verdict first", verdict(document["verdict"], sentence), content)


def _table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    columns = (
        "run",
        "verdict",
        "profile",
        "metric",
        "precision",
        "kept stages",
        "value",
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
            "–" if row["value"] is None else scale(row["metric"]).told(row["value"]),
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


def _against(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """The second of two runs against the first."""
    old, new = rows
    whose = f"{new['name']} against {old['name']}"
    told = [
        (title, f"{new[name] / old[name]:.3g} ×", f"{whose}: {unit(new[name])} against {unit(old[name])}")
        for title, name, unit in (("Latency p50", "p50_ns", _ms), ("Size", "size_bytes", megabytes))
        if old[name] and new[name]
    ]
    if old["metric"] == new["metric"] and None not in (old["value"], new["value"]):
        points = scale(old["metric"]).change(new["value"] - old["value"])
        told.append((old["metric"], points, f"{whose}; edgesft compare decides whether it is more than chance"))
    return told


def _ms(nanoseconds: int | None) -> str:
    return f"{milliseconds(nanoseconds)} ms"


def _recipes(found: Named) -> Markup | None:
    """What was asked for differently."""
    apart = differences([results.get("recipe") or {} for _, results in found])
    if not apart:
        return None
    rows = [
        [tag("code", key), *("–" if each is None else str(each) for each in values)] for key, values in apart.items()
    ]
    columns = ("key", *(name for name, _ in found))
    told = tag("div", table(columns, rows[:MOST], left=len(columns)), class_="card")
    more = f"{MOST} of {len(rows)} keys that differ." if len(rows) > MOST else None
    return section("recipes", "Differences between the recipes", told, lead=more)


def _budgets(rows: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Runs by lines: value and verdict of each."""
    if not any(row["budget"] for row in rows):
        return None
    names = list(dict.fromkeys(line["name"] for row in rows for line in row["budget"]))
    body = []
    for row in rows:
        lines = {line["name"]: line for line in row["budget"]}
        body.append([row["name"], *(_line(lines.get(name)) for name in names)])
    told = table(("run", *names), body, left=len(names) + 1)
    return section("budgets", "Budgets", tag("div", told, class_="card"))


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
