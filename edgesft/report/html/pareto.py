"""The metric against the latency, with intervals, and the front: what nothing else beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgesft.budget.metric import scale
from edgesft.report.html import plot
from edgesft.report.html.markup import joined, tag
from edgesft.report.html.parts import card, table
from edgesft.report.html.rows import hue
from edgesft.report.lines import figure
from edgesft.report.pareto import front

HEIGHT = 270


@dataclass(frozen=True)
class Spot:
    """A model in the plane.

    Attributes:
        name: Of the model.
        ms: Median latency in milliseconds.
        spread: Its bounds, where there are some.
        value: The metric.
        interval: Its bounds, where there are some.
        solid: Whether it was kept.
        group: What is comparable: each group has a front and a colour of its own.
    """

    name: str
    ms: float
    spread: tuple[float, float] | None
    value: float
    interval: tuple[float, float] | None
    solid: bool = True
    group: str = ""


def pareto(spots: Sequence[Spot], metric: str, note: str) -> Markup | None:
    """The plane, its front and what is on it.

    Args:
        spots: At least two, or there is nothing to see.
        metric: Name of the metric.
        note: What to know of it.
    """
    if len(spots) < 2:
        return None
    drawn, found = plot.axes(HEIGHT, left=40, top=22)
    groups = list(dict.fromkeys(spot.group for spot in spots))
    best = [place for group in groups for place in _front(spots, group)]
    of = scale(metric)
    for number, spot in enumerate(spots):
        _spot(found, spot, of.times, number + 1, plot.colour(hue(groups.index(spot.group))))
    for group in groups:
        line = sorted((spots[place].ms, spots[place].value * of.times) for place in _front(spots, group))
        shade = plot.colour(hue(groups.index(group)))
        found.step(*zip(*line, strict=True), where="post", color=shade, linewidth=1.2, linestyle="--", zorder=1)
    plot.scaled(found, [spot.ms for spot in spots])
    plot.scaled(found, [spot.value * of.times for spot in spots], log=False, which="y")
    found.margins(0.1)
    found.set_xlabel("latency p50, ms  (left is faster)")
    head = f"{metric}, {of.unit}  (up is better)"
    found.set_title(head, loc="left", fontsize=plot.SMALL, color=plot.colour("muted"), pad=4)
    described = "On the front: " + ", ".join(spots[place].name for place in best)
    svg = plot.svg(drawn, f"{metric} against latency", described)
    drawn_card = card(f"{metric} against latency", svg, None, note, _key(spots, groups, best))
    beside = tag("div", tag("h3", "Numbers"), _behind(spots, metric, best), class_="card rest")
    return joined([drawn_card, beside])


def _front(spots: Sequence[Spot], group: str) -> list[int]:
    places = [place for place, spot in enumerate(spots) if spot.group == group]
    return [places[each] for each in front([(spots[place].ms, -spots[place].value) for place in places])]


def _spot(found: plot.Axes, spot: Spot, times: float, number: int, shade: str) -> None:
    x, y = spot.ms, spot.value * times
    if spot.spread:
        found.plot(spot.spread, [y, y], color=shade, linewidth=1.6, zorder=2)
    if spot.interval:
        found.plot([x, x], [each * times for each in spot.interval], color=shade, linewidth=1.6, zorder=2)
    fill = shade if spot.solid else plot.colour("surface")
    found.plot([x], [y], "o", markersize=16, color=fill, markeredgecolor=shade, markeredgewidth=1.6, zorder=3)
    ink = plot.colour("surface") if spot.solid else shade
    found.text(x, y, str(number), ha="center", va="center_baseline", fontsize=9, fontweight="bold", color=ink, zorder=4)


def _key(spots: Sequence[Spot], groups: Sequence[str], best: Sequence[int]) -> Markup:
    items = [
        tag(
            "li",
            tag("i", str(place + 1), style=f"--k:var(--{hue(groups.index(spot.group))})"),
            f" {spot.name}{' ★' if place in best else ''}",
        )
        for place, spot in enumerate(spots)
    ]
    return tag("ul", *items, class_="key")


def _behind(spots: Sequence[Spot], metric: str, best: Sequence[int]) -> Markup:
    of = scale(metric)
    rows = [
        [
            spot.name,
            figure(spot.ms, 4),
            _span(spot.spread, 1.0),
            of.number(spot.value),
            _span(spot.interval, of.times),
            "yes" if place in best else "no",
        ]
        for place, spot in enumerate(spots)
    ]
    return table(("model", "p50 ms", "bounds", f"{metric} {of.unit}", "bounds", "on the front"), rows)


def _span(found: tuple[float, float] | None, times: float) -> str:
    return "–" if found is None else f"{figure(found[0] * times, 4)} to {figure(found[1] * times, 4)}"
