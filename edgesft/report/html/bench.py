"""The page of a bench: models on providers, from its JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.report.bench import how
from edgesft.report.html.bars import bars
from edgesft.report.html.latency import latency
from edgesft.report.html.layers import layers
from edgesft.report.html.lengths import lengths
from edgesft.report.html.lineage import machine
from edgesft.report.html.markup import tag
from edgesft.report.html.page import lines, page, verdict
from edgesft.report.html.parts import bullets, grid, section, table
from edgesft.report.html.placement import placement
from edgesft.report.stages import doubts
from edgesft.report.table import quantiles
from edgesft.report.units import megabytes, milliseconds, percent

COLUMNS = (
    "model",
    "provider",
    "precision",
    "parity",
    "size",
    "load, ms",
    "first, ms",
    "p50",
    "p90",
    "p95",
    "p99",
    "n",
    "peak",
)


def bench(found: Mapping[str, Any], name: str) -> str:
    """The page of what `edgesft bench --format json` printed."""
    rows = found["rows"]
    limits = [(row["name"], line) for row in rows for line in row["budget"] if not _held(line)]
    budget = bars([line for _, line in limits], [name for name, _ in limits])
    content = [
        section("budget", "Budget", budget) if limits else None,
        _problems(rows),
        section("matrix", "Models and providers", tag("div", _matrix(rows), class_="card")),
        _timed(rows),
        *(
            section("layers", "Where the time goes", *_explained(rows))
            for _ in [0]
            if any(row.get("explanation") for row in rows)
        ),
        _machine(rows),
    ]
    profile = found["profile"]
    subtitle = f"{how(profile)}, profile {profile['name']}"
    told = lines([{**line, "name": f"{line['name']} of {row}"} for row, line in limits])
    return page(name, subtitle, verdict(found["verdict"], told), content)


def _problems(rows: list[Mapping[str, Any]]) -> Markup | None:
    failed = [f"{row['name']}: {row['problem']}" for row in rows if row["problem"]]
    doubtful = [f"{row['name']}: {problem}" for row in rows for problem in doubts(row.get("measurement"))]
    told = bullets([*failed, *doubtful])
    return section("warnings", "Warnings", tag("div", told, class_="card warn")) if told else None


def _matrix(rows: list[Mapping[str, Any]]) -> Markup:
    lines = []
    for row in rows:
        model, measured, timed = row["model"], row.get("measurement"), row.get("latency_ns")
        figures = ["–"] * 8
        if measured and timed:
            starts = [milliseconds(measured["load_ns"]), milliseconds(measured["first_ns"])]
            told = quantiles(timed) if timed["n"] else ["–"] * 4
            figures = [
                *starts,
                *told,
                f"{timed['n']} {measured['grade'] or ''}",
                megabytes(measured["peak_memory_bytes"]),
            ]
        provider = row["provider"].removesuffix("ExecutionProvider")
        lines.append(
            [
                row["name"],
                provider if measured else f"{provider}: not measured",
                model["precision"] or "–",
                _parity(row.get("parity")),
                megabytes(model["size_bytes"]) if model["size_bytes"] >= 1e6 else f"{model['size_bytes'] / 1e3:.1f} kB",
                *figures,
            ]
        )
    return table(COLUMNS, lines, left=4, out=[row.get("measurement") is None for row in rows])


def _held(line: Mapping[str, Any]) -> bool:
    """Parity that holds stands in the row already."""
    return bool(line["name"] == "parity" and line["verdict"] == "pass")


def _parity(parity: Mapping[str, Any] | None) -> str:
    if parity is None:
        return "–"
    top = "" if parity["top1"] is None else f", top-1 {percent(parity['top1'])} %"
    return f"{'holds' if parity['holds'] else 'does not hold'}{top}"


def _timed(rows: list[Mapping[str, Any]]) -> Markup | None:
    cards, where = latency(rows), placement(rows)
    if not cards and where is None:
        return None
    return section("latency", "Latency and placement", grid(*cards, lengths(rows), where))


def _explained(rows: list[Mapping[str, Any]]) -> list[Markup]:
    return [layers(row["explanation"], str(row["name"])) for row in rows if row.get("explanation")]


def _machine(rows: list[Mapping[str, Any]]) -> Markup | None:
    measured = [row["measurement"] for row in rows if row.get("measurement")]
    machines = {str(each["machine"]): each["machine"] for each in measured}
    told = [machine(each) for each in machines.values()]
    return section("machine", "What measured", *told) if told else None
