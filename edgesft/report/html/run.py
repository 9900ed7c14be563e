"""The page of a run, from its `results.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.budget.metric import scale
from edgesft.measure.fingerprint import called
from edgesft.report.html.answers import answers
from edgesft.report.html.bars import bars
from edgesft.report.html.latency import latency
from edgesft.report.html.learning import learning
from edgesft.report.html.lengths import lengths
from edgesft.report.html.lineage import lineage
from edgesft.report.html.markup import tag
from edgesft.report.html.page import lines, page, verdict
from edgesft.report.html.pareto import Spot, pareto
from edgesft.report.html.parts import bullets, details, grid, section, table, tiles
from edgesft.report.html.placement import placement
from edgesft.report.html.rows import NS, bounds, p50
from edgesft.report.html.steps import steps
from edgesft.report.html.waterfall import allowance, waterfall
from edgesft.report.stages import final, metric_of, original, warnings
from edgesft.report.table import placed, quantiles
from edgesft.report.units import count, megabytes, milliseconds


def run(results: Mapping[str, Any], name: str) -> str:
    """The page.

    Args:
        results: What `results.json` holds, also an old one.
        name: Of the run.
    """
    stages, metric, split = results["stages"], metric_of(results), results["split"]
    budget = results["budget"]
    content = [
        tiles(_tiles(results)),
        section("budget", "Budget", bars(budget)) if budget else None,
        steps(results),
        _warnings(results),
        section(
            "stages",
            "What each stage bought",
            waterfall(stages, metric, split, allowance(budget, metric)),
            details("All stages as a table", _stages(results, metric)),
        ),
        _front(stages, metric, split),
        _timed(results),
        learning(stages, metric, results.get("tuning")),
        answers(results.get("evaluation") or {}, split),
        lineage(results),
    ]
    return page(name, _subtitle(results), verdict(results["verdict"], lines(budget)), content)


def _subtitle(results: Mapping[str, Any]) -> str:
    device = called(results.get("environment") or {})
    task = (results.get("recipe") or {}).get("task")
    return f"{task or 'Run'} on profile {results['profile']}" + (f", measured on {device}" if device else "")


def _tiles(results: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    first, last, metric = original(results), final(results), metric_of(results)
    found = []
    if (new := p50(last)) is not None:
        old = p50(first)
        times = (
            "" if not old or first is last else f"{old / new:.2f} × as fast as the original's {milliseconds(old)} ms"
        )
        found.append(("Latency p50", f"{milliseconds(new)} ms", times))
    level, drop, of = last["levels"].get(metric), last["drops"].get(metric), scale(metric)
    if level:
        points = "" if not drop or first is last else f"{of.change(-drop['value'])} against the original"
        found.append((f"{metric} on {results['split']}", of.told(level["value"]), points))
    size, before = last["size_bytes"], first["size_bytes"]
    smaller = "" if first is last or not before else f"{size / before * 100:.0f} % of {megabytes(before)}"
    found.append(("Size", _bytes(size), smaller))
    if peak := (last.get("measurement") or {}).get("peak_memory_bytes"):
        found.append(("Peak memory", megabytes(peak), "of a process that only runs this model"))
    return found


def _bytes(size: int) -> str:
    return megabytes(size) if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _warnings(results: Mapping[str, Any]) -> Markup | None:
    """What stopped nothing and must be known."""
    failed = [f"{stage['name']}: {stage['problem']}" for stage in results["stages"] if stage.get("problem")]
    told = bullets([*warnings(results), *failed])
    return section("warnings", "Warnings", tag("div", told, class_="card warn")) if told else None


def _front(stages: Any, metric: str, split: str) -> Markup | None:
    spots = []
    for stage in stages:
        level, median = stage["levels"].get(metric), p50(stage)
        if level is None or median is None:
            continue
        span = bounds(stage)
        spread = (span[0] / NS, span[1] / NS) if span else None
        interval = None if level["lower"] is None or level["upper"] is None else (level["lower"], level["upper"])
        spots.append(Spot(str(stage["name"]), median / NS, spread, level["value"], interval, bool(stage["kept"])))
    note = (
        f"On {split}, with one-sided 95 % bounds. Filled: kept. Hollow: rolled back. ★ and dashed: no other is both "
        "faster and better."
    )
    found = pareto(spots, metric, note)
    return section("front", f"{metric} against latency", grid(found)) if found else None


def _timed(results: Mapping[str, Any]) -> Markup | None:
    stages = results["stages"]
    cards = latency(stages)
    where = placement(stages)
    if not cards and where is None:
        return None
    inputs = next((stage["measurement"].get("inputs") for stage in stages if stage.get("measurement")), None)
    lead = "All rows interleaved in one run, each in a process of its own" + (f"; inputs: {inputs}." if inputs else ".")
    return section("latency", "Latency and placement", grid(*cards, lengths(stages), where), lead=lead)


def _stages(results: Mapping[str, Any], metric: str) -> Markup:
    of = scale(metric)
    columns = (
        "stage",
        "precision",
        "kept?",
        "provider",
        "size",
        "params",
        f"{metric} {of.unit}",
        "load",
        "first",
        "p50",
        "p90",
        "p95",
        "p99",
        "n",
        "peak",
    )
    rows = []
    for stage in results["stages"]:
        told, measured, level = stage.get("latency_ns"), stage.get("measurement"), stage["levels"].get(metric)
        timed = ["–"] * 8
        if told and measured:
            starts = [milliseconds(measured.get("load_ns")), milliseconds(measured.get("first_ns"))]
            timed = [
                *starts,
                *quantiles(told),
                f"{told['n']} {measured.get('grade') or ''}",
                megabytes(measured.get("peak_memory_bytes")),
            ]
        reason = stage.get("problem") or stage.get("reason") or ""
        rows.append(
            [
                stage["name"],
                stage.get("precision") or "–",
                f"{'yes' if stage['kept'] else 'no'}: {reason}",
                placed(stage["provider"], measured) if told and measured else "–",
                _bytes(stage["size_bytes"]),
                count(stage["parameters"]),
                of.number(level["value"]) if level else "–",
                *timed,
            ]
        )
    return table(columns, rows, left=4, out=[not stage["kept"] for stage in results["stages"]])
