"""What is in a recipe's rows, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgesft.report.table import WIDTH

LABELS = 12
"""Of a split, in the order of their counts, before it says how many more there are."""


def render(found: Mapping[str, Any]) -> str:
    """The splits, what they share with train, and the findings with what to change, as plain text.

    Args:
        found: What `pipeline.survey.survey` gives.
    """
    table = Table(title=escape(found["recipe"]), title_justify="left", header_style="bold")
    table.add_column("split")
    numbers = ("rows", "duplicates", "characters p50 / max", "tokens p50 / p99 / max", "unknown tokens")
    for name in numbers:
        table.add_column(name, justify="right")
    for name in ("also in train, nearly", "differs from train (AUC)", "labels"):
        table.add_column(name, overflow="fold")
    for name, each in found["splits"].items():
        table.add_row(name, *_figures(each), *_shared(found["across"].get(name)), escape(_labels(each["labels"])))
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return "\n".join([*(line.rstrip() for line in capture.get().splitlines()), *_findings(found["findings"])]) + "\n"


def _figures(each: Mapping[str, Any]) -> Sequence[str]:
    characters, tokens, unknown = each["characters"], each["tokens"], each["unknown_tokens"]
    return (
        f"{each['rows']:,}",
        f"{each['duplicates']:,}",
        f"{characters['p50']} / {characters['max']}" if characters else "–",
        f"{tokens['p50']} / {tokens['p99']} / {tokens['max']}" if tokens else "–",
        "–" if unknown is None else f"{unknown:.2%}",
    )


def _shared(each: Mapping[str, Any] | None) -> Sequence[str]:
    if each is None:
        return ("–", "–")
    near = "–" if each["near"] is None else f"{each['near']}"
    return f"{each['same']}, {near}", "–" if each["apart"] is None else f"{each['apart']:.2f}"


def _labels(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{label} {count}" for label, count in list(counts.items())[:LABELS])
    return f"{shown} and {len(counts) - LABELS} more" if len(counts) > LABELS else shown


def _findings(findings: Sequence[Mapping[str, str]]) -> list[str]:
    if not findings:
        return ["no problems found"]
    return [each["message"] + (f"\n    Try: {each['hint']}" if each["hint"] else "") for each in findings]
