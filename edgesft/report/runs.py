"""Several runs beside each other: what became of each, and which nothing else beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgesft.budget.metric import scale
from edgesft.budget.verdict import worst
from edgesft.report.lines import clean
from edgesft.report.markdown import escaped
from edgesft.report.pareto import front
from edgesft.report.stages import final, metric_of, original
from edgesft.report.table import STYLES, WIDTH
from edgesft.report.units import megabytes, milliseconds

SCHEMA = "edgesft/runs"
SCHEMA_VERSION = 1

COLUMNS = ("Run", "Profile", "Metric", "Value", "Size", "p50", "p95", "peak", "Verdict")
RIGHT = ("Value", "Size", "p50", "p95", "peak")


def document(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The runs' figures, JSON values only, in the order given.

    Args:
        runs: Name of each and what its `results.json` holds.
    """
    rows = [_row(name, results) for name, results in runs]
    for group in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == group and None not in (row["p50_ns"], row["value"])]
        best = front([(row["p50_ns"], -row["value"]) for row in members])
        for place, row in enumerate(members):
            row["front"] = place in best
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "verdict": worst(row["verdict"] for row in rows),
        "runs": rows,
    }


def _row(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
    last, first, metric = final(results), original(results), metric_of(results)
    timed, bounds = last.get("latency_ns") or {}, last.get("latency_bounds_ns") or {}
    level = last["levels"].get(metric) or {}
    environment = results.get("environment") or {}
    return {
        "name": name,
        "profile": results["profile"],
        "machine": environment.get("model") or environment.get("architecture"),
        "group": f"{metric} on {results['split']}, {results['profile']}",
        "verdict": results["verdict"],
        "budget": [dict(line) for line in results["budget"]],
        "metric": metric,
        "split": results["split"],
        "value": level.get("value"),
        "value_bounds": [level.get("lower"), level.get("upper")],
        "size_bytes": last["size_bytes"],
        "original_size_bytes": first["size_bytes"],
        "p50_ns": timed.get("p50"),
        "p50_bounds_ns": list(bounds.get("p50") or (None, None)),
        "p95_ns": timed.get("p95"),
        "original_p50_ns": (first.get("latency_ns") or {}).get("p50"),
        "peak_memory_bytes": (last.get("measurement") or {}).get("peak_memory_bytes"),
        "precision": last.get("precision"),
        "stages": [stage["name"] for stage in results["stages"] if stage["kept"]],
        "front": False,
    }


def render(found: Mapping[str, Any], width: int | None = None) -> str:
    """The comparison as a plain table, with a star those on the front."""
    table = Table(
        title="latency in ms; ★ no other run is both faster and better", title_justify="left", header_style="bold"
    )
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in RIGHT else "left", overflow="fold")
    for row in found["runs"]:
        cells = [Text(clean(cell)) for cell in _cells(row)]
        table.add_row(*cells[:-1], Text(clean(_verdict(row)), style=STYLES[row["verdict"]]))
    console = Console(width=width or WIDTH, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def markdown(found: Mapping[str, Any]) -> str:
    """The comparison as Markdown."""
    top = f"| {' | '.join(COLUMNS)} |\n|{'|'.join(' --: ' if name in RIGHT else ' :-- ' for name in COLUMNS)}|\n"
    rows = "".join(f"| {' | '.join(escaped(cell) for cell in _cells(row))} |\n" for row in found["runs"])
    return f"{top}{rows}\nLatency in ms; ★ no other run is both faster and better.\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['name']}{' ★' if row['front'] else ''}",
        row["profile"],
        f"{row['metric']} on {row['split']}",
        "–" if row["value"] is None else scale(row["metric"]).told(row["value"]),
        megabytes(row["size_bytes"]),
        milliseconds(row["p50_ns"]),
        milliseconds(row["p95_ns"]),
        megabytes(row["peak_memory_bytes"]),
        _verdict(row),
    ]


def _verdict(row: Mapping[str, Any]) -> str:
    wrong = [line["name"] for line in row["budget"] if line["verdict"] != "pass"]
    return f"{row['verdict']}: {', '.join(wrong)}" if wrong else str(row["verdict"])
