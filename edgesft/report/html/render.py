"""Any of edgesft's documents as its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgesft.report.html.bench import bench
from edgesft.report.html.compared import Named
from edgesft.report.html.compared import compared as several
from edgesft.report.html.gate import gate
from edgesft.report.html.history import history
from edgesft.report.html.run import run

PAGES: Mapping[str, Callable[[Mapping[str, Any], str], str]] = {
    "edgesft/results": run,
    "edgesft/bench": bench,
    "edgesft/check": gate,
    "edgesft/compare": gate,
    "edgesft/history": history,
}
"""Schema of a document → what makes its page of it and of its name."""


def render(document: Mapping[str, Any], name: str) -> str:
    """The page of one document.

    Args:
        document: With a `schema` of `PAGES`.
        name: Of the run or the file.
    """
    return PAGES[document["schema"]](document, name)


def compared(runs: Named) -> str:
    """The page of several runs beside each other.

    Args:
        runs: Name of each, no two alike, and what its `results.json` holds.
    """
    return several(runs)
