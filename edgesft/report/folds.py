"""What cross-validation found, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from edgesft.report.table import WIDTH


def render(found: Mapping[str, Any]) -> str:
    """A row a fold, then their mean and spread, then all rows together."""
    names = list(found["mean"])
    table = Table(title=f"cross-validation of {found['recipe']}: {len(found['folds'])} folds", title_justify="left")
    for name in ("fold", "rows", *names):
        table.add_column(name, justify="left" if name == "fold" else "right")
    for number, each in enumerate(found["folds"], 1):
        table.add_row(str(number), f"{each['rows']:,}", *(f"{each['metrics'][name]:.4f}" for name in names))
    spread = [f"{found['mean'][name]:.4f} ± {found['deviation'][name]:.4f}" for name in names]
    table.add_row("mean ± sd", "", *spread)
    if found["pooled"]:
        rows = sum(each["rows"] for each in found["folds"])
        table.add_row("all rows", f"{rows:,}", *(_interval(found["pooled"][name]) for name in names))
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _interval(each: Mapping[str, float | None]) -> str:
    if each["lower"] is None:
        return f"{each['value']:.4f}"
    return f"{each['value']:.4f} ({each['lower']:.4f} to {each['upper']:.4f})"
