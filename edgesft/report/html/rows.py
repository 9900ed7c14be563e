"""What stages of a run and rows of a bench have in common for those who draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesft.report.html.style import SERIES
from edgesft.report.latency import SKETCH_VERSION, sketch

MOST = 8
"""Rows of one plot: as many as there are colours to tell them by."""

NS = 1e6
"""Nanoseconds of a millisecond."""

Rows = Sequence[Mapping[str, Any]]


def sketched(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A row's samples in little: as they were written, or made of all where those are there; None in old files."""
    measured = row.get("measurement") or {}
    found = measured.get("sketch")
    if found and found.get("version") == SKETCH_VERSION:
        return dict(found)
    return sketch(measured["rounds_ns"]) if measured.get("rounds_ns") else None


def p50(row: Mapping[str, Any]) -> int | None:
    """Median latency in nanoseconds, where there is one."""
    return (row.get("latency_ns") or {}).get("p50")


def bounds(row: Mapping[str, Any], name: str = "p50") -> tuple[float, float] | None:
    """One-sided bounds of a percentile in nanoseconds, where its samples carry both."""
    lower, upper = (row.get("latency_bounds_ns") or {}).get(name) or (None, None)
    return None if lower is None or upper is None else (lower, upper)


def kept(row: Mapping[str, Any]) -> bool:
    """Whether the final model went through it; rows of a bench are not judged."""
    return bool(row.get("kept", True))


def hue(place: int) -> str:
    """Name of the colour of a plot's n-th row."""
    return SERIES[place % len(SERIES)]


def shown(rows: Rows) -> Rows:
    """As many as a plot tells apart: those that were kept first, in their order."""
    if len(rows) <= MOST:
        return rows
    order = sorted(range(len(rows)), key=lambda place: (not kept(rows[place]), place))[:MOST]
    return [rows[place] for place in sorted(order)]


def left_out(rows: Rows) -> str:
    """`; 8 of 12 are drawn`, where a plot does not show all."""
    return f" {MOST} of {len(rows)} are drawn; the numbers have all." if len(rows) > MOST else ""
