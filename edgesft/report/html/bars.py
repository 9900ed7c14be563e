"""The budget's lines as bars against their limits, drawn by the style sheet alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from edgesft.budget.metric import scale
from edgesft.report.html.markup import tag
from edgesft.report.html.parts import badge, details, table
from edgesft.report.lines import figures, state, verdict

NAMES = {
    "latency_ms": ("latency", "ms", 1),
    "latency_ratio": ("latency, of the original's", "×", 1),
    "real_time_factor": ("real-time factor", "×", 1),
    "first_token_ms": ("first token", "ms", 1),
    "tokens_per_second": ("tokens a second", "", 1),
    "picture_ms": ("a picture", "ms", 1),
    "load_ms": ("loading", "ms", 1),
    "first_inference_ms": ("first inference", "ms", 1),
    "size_mb": ("size", "MB", 1),
    "size_ratio": ("size, of the original's", "×", 1),
    "peak_memory_mb": ("peak memory", "MB", 1),
    "max_drop": ("loss of", "", 1),
    "min_metric": ("least", "", 1),
    "max_growth": ("growth of", "%", 100),
    "latency": ("latency, of the baseline's", "×", 1),
    "off_provider": ("nodes off the provider", "", 1),
    "placement_share": ("nodes on the provider", "%", 100),
    "agreement": ("same answers as fp32 on a CPU", "%", 100),
    "macs": ("multiply-accumulates", "", 1),
}
"""First part of a line's name → words, unit, and by what a figure is multiplied for that unit."""

METRICS = ("max_drop", "min_metric")
"""Lines whose unit is that of the metric they name."""

LEAST = ("min_metric", "tokens_per_second", "placement_share", "agreement")
"""Lines whose limit is a lower one."""

ROOM = 1.12
"""The bar's axis ends so far beyond the greatest figure."""


def bars(lines: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> Markup:
    """A bar a line, with its limit, its interval and its verdict, and a table of them all.

    Args:
        lines: `Line.to_json()` or `GateLine.to_json()`.
        names: What stands before each line's own name, where lines of several things stand together.
    """
    before = names or [""] * len(lines)
    items = [_bar(line, name) for line, name in zip(lines, before, strict=True)]
    rows = [
        [f"{name} {line['name']}".strip(), *figures(line), verdict(line)]
        for line, name in zip(lines, before, strict=True)
    ]
    numbers = details("Numbers", table(("line", "limit", "value", "interval", "verdict"), rows))
    return tag("div", tag("ul", *items, class_="limits"), numbers)


def title(line: Mapping[str, Any]) -> str:
    """`p95 latency` for `latency_ms.p95`."""
    first, _, rest = str(line["name"]).partition(".")
    words, _, _ = NAMES.get(first, (first.replace("_", " "), "", 1))
    if not rest:
        return words
    return f"{rest} {words}" if first.startswith(("latency", "real_time")) else f"{words} {rest.replace('_', ' ')}"


def told(line: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Limit, value and interval in the unit that people think in, and that unit."""
    first, _, rest = str(line["name"]).partition(".")
    times: float
    _, unit, times = NAMES.get(first, ("", "", 1))
    if first in METRICS:
        of = scale(rest)
        times, unit = of.times, of.difference if first == "max_drop" else of.unit
    names = ("limit", "value", "lower", "upper")
    scaled = {name: None if line[name] is None else line[name] * times for name in names}
    limit, value, interval = figures({**line, **scaled})
    return limit, value, interval, unit


def _bar(line: Mapping[str, Any], before: str) -> Markup:
    limit, value, interval, unit = told(line)
    kind, least = state(line), str(line["name"]).partition(".")[0] in LEAST
    head = tag(
        "div",
        tag("span", f"{before}: " if before else "", title(line), " ", tag("code", line["name"])),
        badge(kind, line.get("change") and f"{line['verdict']}, {line['change']}"),
        class_="head",
    )
    unit = f" {unit}" if unit else ""
    within = "" if interval == "–" else f" ({interval})"
    limited = f"limit {'≥' if least else '≤'} {limit}{unit}"
    got = "no value" if line["value"] is None else f"{value}{unit}"
    track = tag("div", *_marks(line), class_="track", role="img", aria_label=f"{got}{within}, {limited}")
    foot = tag("div", tag("b", got), f"{within} · {limited}", class_="foot")
    why = line.get("accepted") or line.get("reason")
    reason = tag("div", why, class_="note") if why else None
    return tag("li", head, track, foot, reason, class_=kind)


def _marks(line: Mapping[str, Any]) -> list[Markup]:
    limit, value, lower, upper = (line[name] for name in ("limit", "value", "lower", "upper"))
    known = [each for each in (limit, value, lower, upper) if each is not None]
    low, high = min(0.0, *known), max(0.0, *known)
    low, high = low * ROOM, high * ROOM or (0.0 if low else 1.0)

    def place(figure: float) -> str:
        return f"{(figure - low) / (high - low) * 100:.2f}%"

    def stretch(start: float, end: float) -> str:
        return f"left:{place(min(start, end))};width:{abs(end - start) / (high - low) * 100:.2f}%"

    marks = []
    if value is not None:
        marks.append(tag("i", class_="fill", style=stretch(0.0, value)))
        if value == 0:
            marks.append(tag("i", class_="dot", style=f"left:{place(value)}"))
    if low < 0:
        marks.append(tag("i", class_="zero", style=f"left:{place(0.0)}"))
    if lower is not None and upper is not None:
        marks.append(tag("i", class_="span", style=stretch(lower, upper)))
    return [*marks, tag("i", class_="limit", style=f"left:{place(limit)}")]
