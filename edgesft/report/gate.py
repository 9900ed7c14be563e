"""What a gate found, for people and for CI, from its JSON form alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesft.report.github import github
from edgesft.report.junit import junit
from edgesft.report.lines import State, clean, figures, gate, state, subject, tally, verdict
from edgesft.report.markdown import markdown
from edgesft.report.sarif import sarif
from edgesft.report.table import STYLES, WIDTH

LINE_STYLES: Mapping[State, str] = {"accepted": "cyan", "shown": "dim"}
"""Of the states that are no verdicts."""


def tables(document: Mapping[str, Any]) -> RenderableType:
    """The lines, what a reader must know to believe them, and the verdict, for a rich console.

    Args:
        document: `GateDocument.to_json()`.
    """
    found = document["verdict"]
    parts: list[RenderableType] = [_lines(document)] if document["lines"] else [Text(_title(document))]
    parts += [Text(f"  {clean(note)}") for note in document["notes"]]
    parts.append(Text.assemble("verdict: ", (found, f"bold {STYLES[found]}"), f"   {tally(document)}"))
    return Group(*parts)


def _lines(document: Mapping[str, Any]) -> Table:
    # What users name goes into Text, which takes `[…]` for itself and not for markup.
    table = Table(title=Text(_title(document), style="italic"), title_justify="left", header_style="bold")
    for column in ("line", "limit", "value", "interval", "verdict"):
        table.add_column(column, justify="left" if column in ("line", "verdict") else "right", overflow="fold")
    for line in document["lines"]:
        style = LINE_STYLES.get(state(line)) or STYLES[line["verdict"]]
        table.add_row(Text(clean(line["name"])), *figures(line), Text(verdict(line), style=style))
    return table


def _title(document: Mapping[str, Any]) -> str:
    profile = f", profile {clean(document['profile'])}" if document.get("profile") else ""
    return f"{gate(document)} of {subject(document)}{profile}"


def _table(document: Mapping[str, Any]) -> str:
    console = Console(width=WIDTH, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(tables(document))
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "table": _table,
    "json": _json,
    "junit": junit,
    "sarif": lambda document: _json(sarif(document)),
    "github": lambda document: "".join(f"{command}\n" for command in github(document)),
    "markdown": markdown,
}
"""Name of a format → what writes it."""


def render(document: Mapping[str, Any], form: str) -> str:
    """The text of a document in a format.

    Args:
        document: `GateDocument.to_json()`.
        form: One of `FORMATS`.
    """
    return FORMATS[form](document)
