"""The page that lists the runs of a folder: sorted and filtered by its address, and two of them compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from edgesft.budget.metric import scale
from edgesft.report.html.markup import tag
from edgesft.report.html.page import page
from edgesft.report.html.parts import badge
from edgesft.report.reading import SCHEMAS
from edgesft.report.units import megabytes, milliseconds

COLUMNS = {
    "name": "name",
    "kind": "what",
    "verdict": "verdict",
    "profile": "profile",
    "metric": "metric",
    "value": "value",
    "p50_ns": "p50, ms",
    "p95_ns": "p95, ms",
    "size_bytes": "size",
    "when": "written",
}
"""What can be sorted by → its heading."""

FIGURES = ("value", "p50_ns", "p95_ns", "size_bytes")

VERDICTS = ("pass", "fail", "inconclusive")

NEWEST = "when"


@dataclass(frozen=True)
class Asked:
    """What the address asks for.

    Attributes:
        sort: One of `COLUMNS`.
        down: Whether the greatest come first.
        text: That a name, profile or metric must hold.
        verdict: The only one that is shown; empty for all.
    """

    sort: str = NEWEST
    down: bool = True
    text: str = ""
    verdict: str = ""

    def query(self, **changes: object) -> str:
        """The address with something changed."""
        told = {"sort": self.sort, "down": int(self.down), "text": self.text, "verdict": self.verdict, **changes}
        return f"?{urlencode({name: value for name, value in told.items() if value != ''})}"


def index(rows: Sequence[Mapping[str, Any]], asked: Asked, where: str, problems: Sequence[str] = ()) -> str:
    """The page.

    Args:
        rows: Of each document `identity`, `name`, `kind`, `verdict`, `when`, and figures where it is of a run.
        asked: Which, in which order.
        where: The folder.
        problems: Files that could not be read.
    """
    found = chosen(rows, asked)
    head = tag("tr", tag("th", ""), *(_heading(name, asked) for name in COLUMNS))
    body = tag("tbody", *(_row(row) for row in found))
    whole = tag("div", tag("table", tag("thead", head), body, class_="full"), class_="scroll", tabindex="0")
    compare = tag("button", "Compare the selected runs", type="submit")
    listed = tag("form", whole, tag("p", compare), action="/compare", method="get", class_="card")
    told = f"{len(found)} of {len(rows)} documents below {where}"
    wrong = tag(
        "details", tag("summary", f"{len(problems)} files are not shown"), *(tag("p", each) for each in problems)
    )
    content = [_controls(asked), listed if found else tag("p", "No run matches."), wrong if problems else None]
    return page("Runs", told, None, content, contents=False)


def chosen(rows: Sequence[Mapping[str, Any]], asked: Asked) -> list[Mapping[str, Any]]:
    """The rows that fit, in the order that was asked for; those without a figure come last."""
    needle = asked.text.lower()
    fitting = [
        row
        for row in rows
        if (not asked.verdict or row["verdict"] == asked.verdict)
        and needle in " ".join(str(row.get(name) or "") for name in ("name", "kind", "profile", "metric")).lower()
    ]
    told = [row for row in fitting if row.get(asked.sort) is not None]
    figures = asked.sort in FIGURES
    told.sort(key=lambda row: row[asked.sort] if figures else str(row[asked.sort]).lower(), reverse=asked.down)
    return [*told, *(row for row in fitting if row.get(asked.sort) is None)]


def _heading(name: str, asked: Asked) -> Markup:
    here = asked.sort == name
    arrow = (" ▼" if asked.down else " ▲") if here else ""
    link = tag(
        "a",
        f"{COLUMNS[name]}{arrow}",
        href=asked.query(sort=name, down=int(not asked.down if here else name == NEWEST)),
    )
    order = ("descending" if asked.down else "ascending") if here else None
    return tag("th", link, scope="col", class_="num" if name in FIGURES else None, aria_sort=order)


def _row(row: Mapping[str, Any]) -> Markup:
    value = row.get("value")
    figures = [
        "–" if value is None else scale(str(row["metric"])).told(value),
        milliseconds(row.get("p50_ns")),
        milliseconds(row.get("p95_ns")),
        megabytes(row.get("size_bytes")),
    ]
    is_run = row["kind"] == "edgesft/results"
    tick = (
        tag("input", type="checkbox", name="run", value=row["identity"], aria_label=f"compare {row['name']}")
        if is_run
        else ""
    )
    cells = [
        tag("td", tick),
        tag("td", tag("a", row["name"], href=f"/run/{quote(row['identity'])}")),
        tag("td", SCHEMAS[row["kind"]]),
        tag("td", badge(row["verdict"]) if row["verdict"] else "–"),
        tag("td", row.get("profile") or "–"),
        tag("td", row.get("metric") or "–"),
        *(tag("td", each, class_="num") for each in figures),
        tag("td", row["when"]),
    ]
    return tag("tr", *cells)


def _controls(asked: Asked) -> Markup:
    words = tag("label", "name, profile or metric", tag("input", type="search", name="text", value=asked.text))
    options = [tag("option", each or "any", value=each, selected=asked.verdict == each) for each in ("", *VERDICTS)]
    kept = [
        tag("input", type="hidden", name="sort", value=asked.sort),
        tag("input", type="hidden", name="down", value=int(asked.down)),
    ]
    verdict = tag("label", "verdict", tag("select", *options, name="verdict"))
    return tag(
        "form",
        *kept,
        words,
        verdict,
        tag("button", "Filter", type="submit"),
        action="/",
        method="get",
        class_="controls",
    )


def choose() -> str:
    """What a comparison of less than two runs answers."""
    back = tag("p", tag("a", "Select two or more runs", href="/"), " to see them beside each other.")
    return page("Compare", "", None, [back], contents=False)
