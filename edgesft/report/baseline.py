"""A baseline, and what an update does to it, for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesft.gate.baseline import Acceptance, Baseline, Entry
from edgesft.gate.figures import TIMED
from edgesft.gate.key import Key
from edgesft.gate.update import Change, Update
from edgesft.measure.fingerprint import counted
from edgesft.report.lines import clean, figure
from edgesft.report.units import milliseconds

BYTES = ("size", "peak_memory")

COMMIT = 12
"""Digits of a commit that are shown."""


def tables(base: Baseline, today: date) -> RenderableType:
    """Entries, acceptances, and which of these are over, for a rich console.

    Args:
        base: What is shown.
        today: By UTC.
    """
    title = f"{base.path}: {counted(len(base.entries), 'entry', 'entries')}"
    table = _table(title, "model", "profile", "where", "figures", "checked")
    for entry in base.entries:
        commit = f", commit {entry.commit[:COMMIT]}" if entry.commit else ""
        told = "\n".join(f"{name} {amount(name, value)}" for name, value in entry.figures.items())
        cells = (entry.key.model, entry.key.profile, where(entry.key), told, f"{entry.created}{commit}")
        table.add_row(*(Text(clean(cell)) for cell in cells))
    return Group(table, *([_acceptances(base.accepted, today)] if base.accepted else []))


def changes(found: Update) -> RenderableType:
    """What an update changes, figure by figure, for a rich console."""
    table = _table(f"{found.baseline.path}", "entry", "figure", "old", "new", "change")
    for change in found.changes:
        for row in _rows(change):
            table.add_row(*(Text(clean(cell)) for cell in row))
    lines = [
        *(f"{_accepted(each)}: removed, because the figure that it was for is replaced" for each in found.settled),
        *(
            f"{_accepted(each)}: kept, because other entries were not updated; it now also allows growth "
            "over the new figure"
            for each in found.kept
        ),
        *_warnings(change.new for change in found.changes if change.new),
    ]
    return Group(table, *(Text(clean(line)) for line in lines))


def expired(base: Baseline, today: date) -> list[str]:
    """A sentence for each acceptance that is over."""
    over = [each for each in base.accepted if each.expired(today)]
    return [clean(f"{_accepted(each)}: expired on {each.until} ({each.reason})") for each in over]


def amount(name: str, value: float | None) -> str:
    """A figure with its unit, to the last digit where it is counted."""
    if value is None:
        return "–"
    if name in TIMED:
        return f"{milliseconds(int(value))} ms"
    return f"{figure(value)} bytes" if name in BYTES else figure(value)


def where(key: Key) -> str:
    """`CPU, 1 thread, onnxruntime 1.32.0, Cortex-A76, 4 cores`."""
    machine = key.machine
    threads, cores = counted(key.threads, "thread", "threads"), machine.cores
    name = machine.model or machine.board or machine.architecture or "unknown machine"
    provider = " ".join((key.provider.removesuffix("ExecutionProvider"), *key.options))
    parts = [provider, threads, f"onnxruntime {key.runtime}", name]
    return ", ".join([*parts, *([counted(cores, "core", "cores")] if cores else [])])


def _rows(change: Change) -> list[tuple[str, ...]]:
    entry = f"{change.key.model}, {change.key.profile}, {where(change.key)}"
    figures = change.figures
    if change.what == "dropped":
        return [(entry, "dropped", "", "", "")]
    if not figures:
        return [(entry, "as it was" if change.what == "same" else "same figures from another file", "", "", "")]
    rows = [(name, amount(name, old), amount(name, new), _share(old, new)) for name, old, new in figures]
    return [(entry if place == 0 else "", *row) for place, row in enumerate(rows)]


def _share(old: float | None, new: float | None) -> str:
    if old is None:
        return "added"
    if new is None:
        return "no longer there"
    return f"{(new - old) / abs(old) * 100:+.3g} %" if old else "from 0"


def _warnings(entries: Iterable[Entry]) -> list[str]:
    return [
        f"{entry.key.model}: these are not used for comparing percentiles: {reason}"
        for entry in entries
        for reason in entry.figures.unsteady
    ]


def _acceptances(accepted: Iterable[Acceptance], today: date) -> Table:
    table = _table("accepted", "line", "of", "up to", "until", "reason")
    for each in accepted:
        over = each.expired(today)
        cells = (each.line, _of(each), f"{each.up_to:g}", f"{each.until}{', expired' if over else ''}", each.reason)
        table.add_row(*(Text(clean(cell)) for cell in cells), style="yellow" if over else None)
    return table


def _accepted(each: Acceptance) -> str:
    return f"acceptance of {each.line} of {_of(each)}"


def _of(each: Acceptance) -> str:
    return f"{each.model}, {f'profile {each.profile}' if each.profile else 'all profiles'}"


def _table(title: str, *columns: str) -> Table:
    # What users name goes into Text, which takes `[…]` for itself and not for markup.
    table = Table(title=Text(clean(title), style="italic"), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(
            column, justify="right" if column in ("old", "new", "change", "up to") else "left", overflow="fold"
        )
    return table
