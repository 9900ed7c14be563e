"""What a classifier's answers tell, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

WORST = 10
"""Classes of the table: those with the lowest F1."""

PAIRS = 5


def tables(evaluation: Mapping[str, Any]) -> RenderableType:
    """Averages, the classes with the lowest F1, the pairs that are confused most.

    Args:
        evaluation: What `tasks.evaluation.classification` gives.
    """
    averages = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in evaluation["averages"].items() if value is not None
    )
    classes = sorted(evaluation["classes"], key=lambda each: (each["f1"], each["name"]))
    shown = classes[:WORST]
    title = f"classes on {evaluation['rows']} rows" + (
        f", the {WORST} of {len(classes)} with the lowest F1" if len(classes) > WORST else ""
    )
    table = Table(title=title, title_justify="left", header_style="bold", caption=averages, caption_justify="left")
    table.add_column("class", overflow="fold")
    for name in ("precision", "recall", "F1", "AUC", "rows"):
        table.add_column(name, justify="right")
    for each in shown:
        area = "–" if each["auc"] is None else f"{each['auc']:.3f}"
        figures = (f"{each[name]:.3f}" for name in ("precision", "recall", "f1"))
        table.add_row(escape(each["name"]), *figures, area, str(each["rows"]))
    pairs = [f"{each['true']} → {each['predicted']} ({each['rows']})" for each in evaluation["confused"][:PAIRS]]
    return Group(table, *([escape("taken for another: " + ", ".join(pairs))] if pairs else []))
