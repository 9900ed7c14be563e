"""What the final answers tell, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

WORST = 10
"""Classes of the table: those with the lowest F1."""

PAIRS = 5

TITLES = {"f1": "F1", "auc": "AUC", "exact_match": "exact match"}
"""Of columns that are not called by their key."""


def tables(evaluation: Mapping[str, Any]) -> RenderableType:
    """Averages, the classes with the lowest F1, the pairs that are confused most.

    Args:
        evaluation: What a task's `evaluate` gives: `rows`, `averages`, `classes` (each a name and figures, F1 among
            them; empty where answers are no classes), perhaps `by` (what the classes are) and `confused` pairs.
    """
    averages = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in evaluation["averages"].items() if value is not None
    )
    if not evaluation["classes"]:
        return Group(f"on {evaluation['rows']} rows: {averages}")
    classes = sorted(evaluation["classes"], key=lambda each: (each["f1"], each["name"]))
    by = evaluation.get("by", "classes")
    title = f"{by} on {evaluation['rows']} rows" + (
        f", the {WORST} of {len(classes)} with the lowest F1" if len(classes) > WORST else ""
    )
    table = Table(title=title, title_justify="left", header_style="bold", caption=averages, caption_justify="left")
    table.add_column(by, overflow="fold")
    columns = [name for name in classes[0] if name != "name"] if classes else []
    for name in columns:
        table.add_column(TITLES.get(name, name), justify="right")
    for each in classes[:WORST]:
        table.add_row(escape(each["name"]), *(_figure(each[name]) for name in columns))
    confused = evaluation.get("confused", ())[:PAIRS]
    pairs = [f"{each['true']} → {each['predicted']} ({each['rows']})" for each in confused]
    told = ["most confused (true → predicted, rows): " + ", ".join(pairs)] if pairs else []
    if found := evaluation.get("open_world"):
        told.append(open_world(found))
    return Group(table, *map(escape, told))


def open_world(found: Mapping[str, Any]) -> str:
    """How well inputs of no known class are told, in a sentence."""
    return (
        f"unknown inputs, {found['rows']} rows: AUROC {found['auroc']:.3f}, FPR@95 {found['fpr95']:.3f}; above the "
        f"contract's threshold {found['threshold']:.3f}: {found['accepted_known']:.1%} of the known rows, "
        f"{found['accepted_unknown']:.1%} of the unknown ones"
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
