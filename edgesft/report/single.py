"""A run or a bench as Markdown, for a comment or a readme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesft.budget.metric import scale
from edgesft.report.lines import figures, verdict
from edgesft.report.markdown import escaped
from edgesft.report.stages import metric_of, warnings
from edgesft.report.suggest import expectation
from edgesft.report.table import quantiles
from edgesft.report.units import megabytes

SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}

TIMES = ("p50", "p90", "p95", "p99")


def markdown(name: str, results: Mapping[str, Any]) -> str:
    """Verdict, budget and stages of a run.

    Args:
        name: Of the run.
        results: What `results.json` holds.
    """
    metric = metric_of(results)
    of = scale(metric)
    rows = []
    for stage in results["stages"]:
        level = stage["levels"].get(metric)
        told = quantiles(stage["latency_ns"]) if stage.get("latency_ns") else ["–"] * 4
        kept = f"{'yes' if stage['kept'] else 'no'}: {stage.get('problem') or stage.get('reason') or ''}"
        score = of.number(level["value"]) if level else "–"
        rows.append([stage["name"], stage.get("precision") or "–", megabytes(stage["size_bytes"]), score, *told, kept])
    head = f"## {SIGNS[results['verdict']]} {escaped(name)}: {results['verdict']} on {escaped(results['profile'])}\n"
    columns = ("stage", "precision", "size", f"{metric} {of.unit}", *TIMES, "kept?")
    noted = "".join(f"- {escaped(each)}\n" for each in warnings(results))
    parts = [head, _lines(results["budget"]), _table(columns, rows), "Latency in ms.\n", noted, _next(results)]
    return "\n".join(part for part in parts if part)


def _next(results: Mapping[str, Any]) -> str:
    """What is likeliest to meet a budget that did not hold."""
    lines = []
    for place, each in enumerate(results.get("suggestions") or (), 1):
        told = expectation(each, results)
        text = f"{place}. {escaped(each['change'])}: {escaped(each['evidence'])}"
        text += f"; expected: {escaped(told)}" if told else ""
        text += f"  \n   `{' '.join(each['settings'])}`" if each["settings"] else ""
        lines.append(text)
    return (
        "The changes most likely to meet the budget, based on what this run measured:\n\n" + "\n".join(lines) + "\n"
        if lines
        else ""
    )


def bench_markdown(name: str, found: Mapping[str, Any]) -> str:
    """Verdict and rows of a bench."""
    rows, limits = [], []
    for row in found["rows"]:
        told = quantiles(row["latency_ns"]) if (row.get("latency_ns") or {}).get("n") else ["–"] * 4
        provider = row["provider"].removesuffix("ExecutionProvider")
        rows.append([row["name"], provider, megabytes(row["model"]["size_bytes"]), *told, row["problem"] or ""])
        limits += [{**line, "name": f"{row['name']}: {line['name']}"} for line in row["budget"]]
    head = f"## {SIGNS[found['verdict']]} {escaped(name)}: {found['verdict']}\n"
    columns = ("model", "provider", "size", *TIMES, "problem")
    return "\n".join([head, _lines(limits), _table(columns, rows), "Latency in ms.\n"])


def _lines(lines: Sequence[Mapping[str, Any]]) -> str:
    columns = ("line", "limit", "value", "interval", "verdict")
    return _table(columns, [[line["name"], *figures(line), verdict(line)] for line in lines]) if lines else ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = [f"| {' | '.join(map(escaped, columns))} |", f"|{' :-- |' * len(columns)}"]
    return "\n".join([*top, *(f"| {' | '.join(escaped(str(cell)) for cell in row)} |" for row in rows)]) + "\n"
