"""How figures went over time, for people, from the JSON form of a history alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesft.measure.fingerprint import counted
from edgesft.report.lines import clean, figure
from edgesft.report.markdown import LIMIT, escaped
from edgesft.report.table import WIDTH

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 32
"""Bars of a trend; of more points each bar is the median of several."""

FLAT = 0.01
"""Share of the level that a trend's height stands for at least, so that noise does not look like mountains."""

TIMES = ("p50", "p90", "p95", "p99", "load", "first_inference")
BYTES = ("size", "peak_memory")

COLUMNS = ("figure", "n", "level now", "trend", "steps")


def render(document: Mapping[str, Any], width: int | None = None) -> str:
    """The tables as plain text.

    Args:
        document: `History.to_json()`.
        width: Columns of the page; by default `table.WIDTH`.
    """
    console = Console(width=width or WIDTH, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(tables(document))
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def tables(document: Mapping[str, Any]) -> RenderableType:
    """A table for all figures of one artefact on one machine, what a reader must know, and a sentence."""
    parts: list[RenderableType] = []
    for whose, series in _groups(document):
        # Not the table's title, which would be folded to its width; Text takes `[…]` for itself and not for markup.
        parts.append(Text(whose, style="italic"))
        table = Table(header_style="bold")
        for column in COLUMNS:
            table.add_column(column, justify="right" if column in ("n", "level now") else "left", overflow="fold")
        for each in series:
            style = "red" if each["worsened"] else None
            told = Text("\n".join(steps(each)) or "none", style=style or "")
            table.add_row(_name(each), str(each["n"]), _level(each), trend(each), told)
        parts.append(table)
    parts += [Text(f"  {clean(note)}") for note in document["notes"]]
    parts.append(Text(summary(document), style="bold"))
    return Group(*parts)


def markdown(document: Mapping[str, Any]) -> str:
    """The same as Markdown, of at most `markdown.LIMIT` characters; series without steps are left out first."""
    head = f"## {escaped(summary(document))}\n"
    notes = "".join(f"- {escaped(note)}\n" for note in document["notes"])
    whole = _sections(_groups(document))
    if len(head) + len(whole) + len(notes) > LIMIT:
        told = [(whose, [each for each in series if _telling(each)]) for whose, series in _groups(document)]
        whole = _sections([(whose, series) for whose, series in told if series])
        notes += "- series without steps are left out here for length; the JSON output has them\n"
    room = LIMIT - len(head) - len(notes) - 100
    if len(whole) > room:
        whole = whole[:room].rsplit("\n", 1)[0] + "\n\nThe rest is left out here for length.\n"
    return f"{head}{whole}\n{notes}"


def summary(document: Mapping[str, Any]) -> str:
    """`12 files, 5 series: 2 with steps, of 1 the newest level is worse`."""
    series = document["series"]
    stepped = sum(bool(each["steps"]) for each in series)
    worse = sum(each["worsened"] for each in series)
    files = "1 file" if document["files"] == 1 else f"{document['files']} files"
    return f"{files}, {len(series)} series: {stepped} with steps, in {worse} the newest level is worse"


def steps(series: Mapping[str, Any]) -> list[str]:
    """Each step in a line, and the last value where it is out of line."""
    told = [_step(step, series["figure"]) for step in series["steps"]]
    if series["last_out_of_line"]:
        last = series["points"][-1]
        got, level = value(last["value"], series["figure"]), value(series["level"], series["figure"])
        told.append(f"last value is an outlier: {got}, the level is {level}; one more such value makes a step")
    return [clean(line) for line in told]


def trend(series: Mapping[str, Any]) -> str:
    """The values as bars between the least and the greatest, `▁▁▁█▇`."""
    points = [point["value"] for point in series["points"]]
    if len(points) > LONGEST:
        edges = [len(points) * place // LONGEST for place in range(LONGEST + 1)]
        points = [median(points[low:high]) for low, high in pairwise(edges)]
    low, high = min(points), max(points)
    middle = (low + high) / 2
    # Small changes stay small: the page is as high as a hundredth of the level at least.
    height = max(high - low, FLAT * abs(middle))
    if low == high:
        return BARS[3] * len(points)
    low = middle - height / 2
    return "".join(BARS[min(int((point - low) / height * len(BARS)), len(BARS) - 1)] for point in points)


def value(number: float, name: str) -> str:
    """A figure in the unit in which people read it: `5.13 ms`, `22,713,216 bytes`, `0.9123`."""
    if name in TIMES:
        return f"{figure(number / 1e6)} ms"
    if name == "peak_memory":
        return f"{figure(number / 1e6)} MB"
    return f"{figure(number)} bytes" if name == "size" else figure(number)


def _level(series: Mapping[str, Any]) -> str:
    return value(series["level"], series["figure"])


def _name(series: Mapping[str, Any]) -> str:
    return f"{series['figure']}, {clean(series['how'])}" if series["how"] else clean(series["figure"])


def _step(step: Mapping[str, Any], name: str) -> str:
    since, until = step["since"], step["until"]
    when = since["created"][:16].replace("T", " ") if since["created"] else since["file"]
    commits = f", commit {until['commit'][:12]} -> {since['commit'][:12]}" if _commits(step) else f", {since['file']}"
    causes = [cause for cause in step["causes"] if not cause.startswith("commit ")]
    told = "; ".join([_change(step, name), *causes])
    return f"{when}{commits if since['created'] or _commits(step) else ''}: {told}"


def _commits(step: Mapping[str, Any]) -> bool:
    return bool(step["since"]["commit"] and step["until"]["commit"])


def _change(step: Mapping[str, Any], name: str) -> str:
    """`5.1 ms -> 6 ms, × 1.18 (1.15 to 1.21), worse`."""
    change, word = step["change"], "worse" if step["worse"] else "better"
    moved = f"{value(step['before'], name)} -> {value(step['after'], name)}"
    by = "" if change["value"] is None else f", {_by(change['value'], name)}"
    bounds = "" if change["lower"] is None else f" ({figure(change['lower'])} to {figure(change['upper'])})"
    return f"{moved}{by}{bounds}, {word}"


def _by(change: float, name: str) -> str:
    return f"{change:+.4g}" if name.startswith("metrics.") else f"× {figure(change)}"


def _groups(document: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Series of one artefact on one machine, under the words for them."""
    # Machines may differ in what the words leave out.
    apart = groupby(document["series"], lambda series: (_whose(series), json.dumps(series["machine"], sort_keys=True)))
    return [(whose, list(series)) for (whose, _), series in apart]


def _whose(series: Mapping[str, Any]) -> str:
    machine, threads = series["machine"], series["threads"]
    told = [
        series["model"],
        f"profile {series['profile']}",
        " ".join((series["provider"], *series.get("options", ()))),
        counted(threads, "thread", "threads"),
        " on ".join(dict.fromkeys(each for each in (machine["model"], machine["board"]) if each))
        or machine["architecture"]
        or "unknown machine",
        counted(machine["cores"] or "?", "core", "cores"),
        series["source"].replace("/", " "),
    ]
    return clean(", ".join(told))


def _telling(series: Mapping[str, Any]) -> bool:
    return bool(series["steps"] or series["last_out_of_line"])


def _sections(groups: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> str:
    return "".join(line for whose, series in groups for line in _section(whose, series))


def _section(whose: str, series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"\n### {escaped(whose)}\n\n"
    yield f"| {' | '.join(COLUMNS)} |\n| :-- | --: | --: | :-- | :-- |\n"
    for each in series:
        told = "<br>".join(escaped(line) for line in steps(each)) or "none"
        told = f"**{told}**" if each["worsened"] else told
        yield f"| {escaped(_name(each))} | {each['n']} | {_level(each)} | {trend(each)} | {told} |\n"
