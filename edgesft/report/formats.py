"""One or several documents in each of the formats of `edgesft report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from rich.console import Console, RenderableType

from edgesft.errors import InputError, UnavailableError
from edgesft.report import bench, gate, history, runs, single
from edgesft.report import table as run_table
from edgesft.report.reading import SCHEMAS, Read
from edgesft.report.table import WIDTH

RUN = "edgesft/results"

PAGES = 2
"""Version of the pages: a higher one has those that a store keeps drawn again."""

NAME = "name-of-the-run-1f6c"
"""Stands for the name in a page that a store keeps."""

NEEDED = ("matplotlib", "markupsafe")


def require() -> None:
    """Checks that pages can be made here.

    Raises:
        UnavailableError: They cannot; it says how to make that so.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UnavailableError(f"report.html needs {' and '.join(missing)}", "pip install 'edgesft[report]'")


def run(results: Mapping[str, Any], name: str) -> str:
    """The page of a run.

    Raises:
        UnavailableError: The extra is missing.
    """
    require()
    from edgesft.report.html import render

    return render.render(results, name)


def html(found: Sequence[Read]) -> str:
    """A page, of one document or of several runs beside each other.

    Raises:
        InputError: Several documents that are not all of runs.
        UnavailableError: The extra is missing.
    """
    require()
    from edgesft.report.html import render

    if len(found) == 1:
        return render.render(found[0].document, found[0].name)
    _all_runs(found)
    return render.compared([(each.name, each.document) for each in named(found)])


def document(found: Sequence[Read]) -> Mapping[str, Any]:
    """The one document, or the comparison of several runs."""
    if len(found) == 1:
        return found[0].document
    _all_runs(found)
    return runs.document([(each.name, each.document) for each in named(found)])


def markdown(found: Sequence[Read]) -> str:
    """The same for a comment."""
    if len(found) > 1:
        return runs.markdown(document(found))
    one = found[0]
    if one.kind == RUN:
        return single.markdown(one.name, one.document)
    if one.kind == "edgesft/bench":
        return single.bench_markdown(one.name, one.document)
    return history.markdown(one.document) if one.kind == "edgesft/history" else gate.render(one.document, "markdown")


def table(found: Sequence[Read], width: int | None) -> str:
    """The same for a terminal."""
    if len(found) > 1:
        return runs.render(document(found), width)
    one = found[0]
    if one.kind == RUN:
        return run_table.render(one.document, width)
    if one.kind == "edgesft/history":
        return history.render(one.document, width)
    console = Console(width=width or WIDTH, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(tables(one))
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def tables(one: Read) -> RenderableType:
    """The tables of a bench or a gate, for a rich console."""
    return (bench if one.kind == "edgesft/bench" else gate).tables(one.document)


def named(found: Sequence[Read]) -> list[Read]:
    """The documents under names that differ: with as many of their folders as that takes."""
    names = [each.name for each in found]
    if len(set(names)) == len(names):
        return list(found)
    whole = [each.file.resolve().parent if each.file.name == "results.json" else each.file.resolve() for each in found]
    deep = next((depth for depth in range(2, 12) if len({path.parts[-depth:] for path in whole}) == len(whole)), 12)
    return [
        Read("/".join(path.parts[-deep:]), each.file, each.document) for each, path in zip(found, whole, strict=True)
    ]


def _all_runs(found: Sequence[Read]) -> None:
    others = [each for each in found if each.kind != RUN]
    if others:
        got = f"'{others[0].file}' of {SCHEMAS[others[0].kind]}"
        raise InputError(f"several documents must all be of runs, got {got}", f"edgesft report {others[0].file}")
