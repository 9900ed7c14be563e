"""The table of a run, from its `results.json` alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgesft.budget.metric import Scale, scale
from edgesft.report import evaluation
from edgesft.report.stages import rerun, warnings
from edgesft.report.suggest import expectation
from edgesft.report.units import count, megabytes, milliseconds, number

STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
WIDTH = 200
"""Columns of a page that has no width of its own: folded to 80 the table would help nobody."""

LISTED = 5
"""Rows that a line names; `results.json` has more."""

RIGHT = ("Size", "Params", "load", "first", "p50", "p90", "p95", "p99", "n", "peak")


def render(results: Mapping[str, Any], width: int | None = None) -> str:
    """The tables as plain text.

    Args:
        results: What `results.json` holds.
        width: Columns of the page; by default `WIDTH`.
    """
    console = Console(width=width or WIDTH, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(tables(results))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def tables(results: Mapping[str, Any], command: Sequence[str] | None = None) -> RenderableType:
    """Stages, budget lines and verdict, for a rich console.

    Args:
        results: What `results.json` holds.
        command: What a person writes to run it again, and settings behind that to change it; by default what the
            results say.
    """
    verdict = results["verdict"]
    closing = Text.assemble("verdict: ", (verdict, f"bold {STYLES[verdict]}"), f"   profile: {results['profile']}")
    told = [Text(line, style="yellow") for line in _diagnosis(results)]
    warned = [Text(f"warning: {warning}", style="yellow") for warning in warnings(results)]
    parts = (*_tuning(results), _stages(results), *_evaluation(results), budget_table(results["budget"]))
    return Group(*parts, *told, *warned, closing, *_next(results, command or rerun(results)))


def _next(results: Mapping[str, Any], command: Sequence[str]) -> list[RenderableType]:
    """What is likeliest to meet a budget that did not hold."""
    lines = []
    for place, each in enumerate(results.get("suggestions") or (), 1):
        settings = f"\n     {shlex.join([*command, *each['settings']])}" if each["settings"] else ""
        expected = f"\n     expected: {told}" if (told := expectation(each, results)) else ""
        lines.append(Text(f"  {place}. {each['change']}\n     {each['evidence']}{expected}{settings}"))
    return (
        [Text("the changes most likely to meet the budget, based on what this run measured:"), *lines] if lines else []
    )


def _tuning(results: Mapping[str, Any]) -> list[RenderableType]:
    """What was tried, where a run was told to."""
    found = results.get("tuning")
    if not found:
        return []
    of = scale(found["metric"])
    table = Table(title=f"tuning, {found['metric']} on validation", title_justify="left", header_style="bold")
    for column in ("Trial", f"{found['metric']} {of.unit}", *found["space"], "minutes"):
        table.add_column(column, justify="right", overflow="fold")
    for place, trial in enumerate(found["trials"]):
        came = trial["problem"] or of.number(trial["value"])
        values = (f"{value:.3g}" for value in trial["settings"].values())
        style = None if place == found["chosen"] else "dim"
        table.add_row(str(place + 1), escape(came), *values, f"{trial['seconds'] / 60:.1f}", style=style)
    return [table, Text(f"trial {found['chosen'] + 1} is taken: {found['reason']}")]


def _evaluation(results: Mapping[str, Any]) -> list[RenderableType]:
    found = results.get("evaluation")
    return [evaluation.tables(found)] if found else []


def _diagnosis(results: Mapping[str, Any]) -> list[str]:
    """What each training showed, and what to change."""
    return [
        f"{stage['name']}: {each['name']}: {each['message']}{_rows(each['rows'])}\n    Try: {each['hint']}"
        for stage in results["stages"]
        for each in stage.get("details", {}).get("diagnosis", ())
    ]


def _rows(rows: Sequence[Sequence[Any]]) -> str:
    shown = ", ".join(f"{split} {row}" for split, row in rows[:LISTED])
    return f" ({shown}{', …' if len(rows) > LISTED else ''})" if rows else ""


def _stages(results: Mapping[str, Any]) -> Table:
    split = results["split"]
    metric = results.get("metric") or next(iter(results["stages"][0]["levels"]))
    stays = any((stage.get("measurement") or {}).get("io") == "device" for stage in results["stages"])
    without = " without copies" if stays else ""
    title = f"latency{without} in ms, n with its grade of steadiness; {metric} on {split}, change with its bounds"
    table = Table(title=title, title_justify="left", header_style="bold")
    columns = ("Stage", "Precision", "Size", "Params", f"{metric} (Δ)", "Provider", *RIGHT[2:], "kept?")
    for column in columns:
        table.add_column(column, justify="right" if column in RIGHT else "left", overflow="fold")
    for stage in results["stages"]:
        level, drop = stage["levels"][metric], stage["drops"][metric]
        table.add_row(
            escape(stage["name"]),
            stage["precision"],
            megabytes(stage["size_bytes"]),
            count(stage["parameters"]),
            scale(metric).number(level["value"]) + _change(drop, scale(metric)),
            *_latency(stage),
            escape(("yes: " if stage["kept"] else "no: ") + (stage.get("problem") or stage["reason"])),
            style=None if stage["kept"] else "dim",
        )
    return table


def _change(drop: Mapping[str, float | None], of: Scale) -> str:
    """` -0.6 (-1.4 to +0.2)`; nothing for the original itself, which did not change."""
    value, lower, upper = drop["value"], drop["lower"], drop["upper"]
    if value is None or lower is None or upper is None or value == lower == upper:
        return ""
    return " {} ({} to {})".format(*(of.signed(-each) for each in (value, upper, lower)))


def _latency(stage: Mapping[str, Any]) -> list[str]:
    latency, measured = stage["latency_ns"], stage.get("measurement")
    if latency is None or measured is None:
        return ["–"] * 9
    return [
        placed(stage["provider"], measured),
        milliseconds(measured["load_ns"]),
        milliseconds(measured["first_ns"]),
        *(quantiles(latency) if latency["n"] else ["–"] * 4),
        f"{latency['n']} {measured['grade']}" if latency["n"] else "simulated",
        megabytes(measured["peak_memory_bytes"]),
    ]


def quantiles(latency: Mapping[str, int | None]) -> list[str]:
    """The percentiles of a latency; one that its samples do not carry says so."""
    found = (latency[p] for p in ("p50", "p90", "p95", "p99"))
    return ["n too small" if each is None else milliseconds(each) for each in found]


def placed(provider: str, measured: Mapping[str, Any]) -> str:
    """`CPU 100 %, 1 part.`: the provider, its share of the nodes, and in how many pieces."""
    name, share, partitions = provider.removesuffix("ExecutionProvider"), measured["share"], measured["partitions"]
    where = name if share is None else f"{name} {share * 100:.0f} %"
    return where if partitions is None else f"{where}, {partitions} part."


def budget_table(lines: Sequence[Mapping[str, Any]], title: str = "budget") -> Table:
    """The budget's lines with their verdicts."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("line", "limit", "value", "interval", "verdict"):
        table.add_column(column, justify="left" if column in ("line", "verdict") else "right")
    for line in lines:
        interval = f"{number(line['lower'])} to {number(line['upper'])}" if line["upper"] is not None else "–"
        reason = f": {line['reason']}" if line.get("reason") else ""
        verdict = Text(line["verdict"] + reason, style=STYLES[line["verdict"]])
        table.add_row(line["name"], number(line["limit"]), number(line["value"]), interval, verdict)
    return table
