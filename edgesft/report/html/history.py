"""The page of a history: how figures went over time, and where they stepped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.report import history as words
from edgesft.report.html import plot
from edgesft.report.html.markup import tag
from edgesft.report.html.page import page, verdict
from edgesft.report.html.parts import bullets, card, grid, section, table

MOST = 24
"""Series that are drawn; those with steps first."""


def history(document: Mapping[str, Any], name: str) -> str:
    """The page of `History.to_json()`; `name` is that of its file."""
    series = document["series"]
    order = sorted(
        range(len(series)), key=lambda place: (not series[place]["worsened"], not series[place]["steps"], place)
    )
    cards = [_card(series[place]) for place in order[:MOST]]
    more = f"{MOST} of {len(series)} series are drawn, those with steps first." if len(series) > MOST else None
    content = [
        section("series", "Figures over time", grid(*cards), lead=more),
        section("table", "All series", tag("div", _table(document), class_="card")),
        section("notes", "Notes", tag("div", bullets(document["notes"]), class_="card")) if document["notes"] else None,
    ]
    found = "fail" if document["worsened"] else "pass"
    sentence = f"{words.summary(document)}."
    return page(f"History: {name}", f"made {document['created']}", verdict(found, sentence), content)


def _card(series: Mapping[str, Any]) -> Markup:
    times = 1e-6 if series["figure"] in (*words.TIMES, *words.BYTES) else 1.0
    unit = "ms" if series["figure"] in words.TIMES else "MB" if series["figure"] in words.BYTES else ""
    values = [point["value"] * times for point in series["points"]]
    drawn, found = plot.axes(190, left=56)
    places = range(1, len(values) + 1)
    found.plot(places, values, "-", color=plot.colour("line"), linewidth=1)
    found.plot(places, values, "o", color=plot.colour("c1"), markersize=4)
    for step in series["steps"]:
        shade = plot.colour("fail" if step["worse"] else "pass")
        found.axvline(step["at"] + 0.5, color=shade, linewidth=1.4, linestyle="--")
    # Small changes stay small, as in the terminal's trend.
    middle = (min(values) + max(values)) / 2
    room = max((max(values) - min(values)) * 0.6, words.FLAT * abs(middle) * 0.6, 1e-12)
    found.set_ylim(middle - room, middle + room)
    plot.scaled(found, [0.0], log=False)
    plot.scaled(found, [0.0], log=False, which="y")
    found.set_xlabel("file, in the order of time")
    title = f"{series['figure']}{f', {unit}' if unit else ''}: {series['model']}"
    provider = " ".join((series["provider"].removesuffix("ExecutionProvider"), *series.get("options", ())))
    note = ", ".join(filter(None, (series["profile"], provider, series["how"])))
    rows = [
        [
            str(point.get("created") or "–"),
            str(point.get("commit") or "–")[:12],
            words.value(point["value"], series["figure"]),
        ]
        for point in series["points"]
    ]
    told = words.steps(series)
    first, last = (words.value(series["points"][end]["value"], series["figure"]) for end in (0, -1))
    described = f"from {first} to {last}; {len(series['steps'])} steps"
    return card(
        title, plot.svg(drawn, title, described), table(("when", "commit", "value"), rows, left=2), note, bullets(told)
    )


def _table(document: Mapping[str, Any]) -> Markup:
    rows = []
    for series in document["series"]:
        told = "; ".join(words.steps(series)) or "none"
        level = words.value(series["level"], series["figure"])
        rows.append([series["figure"], series["model"], series["profile"], told, str(series["n"]), level])
    return table(("figure", "model", "profile", "steps", "n", "level now"), rows, left=4)
