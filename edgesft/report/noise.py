"""What `edgesft bench --aa` found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgesft.measure.bench.noise import Noise
from edgesft.report.units import percent

SCHEMA = "edgesft/noise"
SCHEMA_VERSION = 1


def to_json(found: Noise) -> dict[str, Any]:
    """JSON values only."""
    return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **found.to_json()}


def tables(found: Mapping[str, Any]) -> RenderableType:
    """The noise floor by percentile, for a rich console."""
    copies = found["measurements"]
    table = Table(
        title=escape(f"{found['model']} against itself: {len(copies)} processes, {len(copies[0]['rounds_ns'])} rounds"),
        title_justify="left",
        header_style="bold",
    )
    for column in ("percentile", "smallest ratio", "largest ratio", "noise floor %", "false alarms"):
        table.add_column(column, justify="left" if column == "percentile" else "right")
    for p, floor in found["floors"].items():
        values = [pair["value"] for pair in found["pairs"][p]]
        alarms = f"{found['false_alarms'][p]} of {len(values)}"
        known = "n too small" if floor is None else percent(floor)
        table.add_row(p, f"{min(values):.3f}", f"{max(values):.3f}", known, alarms)
    grades = " ".join(each["grade"] for each in copies)
    closing = f"Effects smaller than the noise floor cannot be detected on this machine. Grades of steadiness: {grades}"
    return Group(table, Text(closing))
