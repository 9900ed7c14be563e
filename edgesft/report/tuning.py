"""What `edgesft tune` found: JSON for machines, and a table for people from that JSON alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgesft.report.units import milliseconds

if TYPE_CHECKING:
    from edgesft.measure.bench.tuning import Tuning

SCHEMA = "edgesft/tuning"
SCHEMA_VERSION = 1


def to_json(found: Tuning) -> dict[str, Any]:
    """JSON values only, integer nanoseconds."""
    return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **found.to_json()}


def tables(found: Mapping[str, Any]) -> RenderableType:
    """The trials, and what is best, for a rich console."""
    name, profile = found["model"]["name"], found["profile"]
    table = Table(
        title=escape(f"{name} on {found['provider'].removesuffix('ExecutionProvider')}, profile {profile['name']}"),
        title_justify="left",
        header_style="bold",
    )
    for column in ("tried", "p50 ms", "of what was before", "load ms", "outcome"):
        table.add_column(column, justify="left" if column in ("tried", "outcome") else "right")
    for trial in [*found["trials"], *([found["whole"]] if found["whole"] else [])]:
        table.add_row(*_cells(trial))
    return Group(table, *(Text(line) for line in _closing(found)))


def _cells(trial: Mapping[str, Any]) -> Iterator[str]:
    yield escape(trial["choice"])
    if trial["ratio"] is None:
        yield from ("–", "–", "–")
    else:
        ratio = trial["ratio"]
        bounds = "n too small" if ratio["upper"] is None else f"{ratio['lower']:.3f} to {ratio['upper']:.3f}"
        yield milliseconds(trial["p50_ns"][1])
        yield f"{ratio['value']:.3f} ({bounds})"
        yield " → ".join(map(milliseconds, trial["load_ns"]))
    yield escape(_outcome(trial))


def _outcome(trial: Mapping[str, Any]) -> str:
    if trial["outcome"] == "answers differ":
        worst, allowed = trial["parity"]["outputs"][0], trial["parity"]["tolerance"]
        off = "no numbers" if worst["relative"] is None else f"{worst['relative']:.1e}"
        return f"answers differ: {off}, {allowed:g} allowed"
    return f"failed: {trial['problem']}" if trial["problem"] else trial["outcome"]


def _closing(found: Mapping[str, Any]) -> Iterator[str]:
    profile, whole = found["profile"], found["whole"]
    if whole is None:
        yield "No threads and no session pay: the profile stays as it is."
    elif whole["outcome"] != "kept":
        yield f"Measured anew, all that was kept together: {_outcome(whole)}. The profile stays as it is."
    else:
        yield f"What pays here, {whole['ratio']['value']:.3f} of the p50: {' '.join(_settings(profile))}"
    if found["differences"]:
        yield f"This says nothing of the profile's own machine: {'; '.join(found['differences'])}."
    if any(trial["ratio"] and trial["parity"] is None for trial in found["trials"]):
        yield "The answers were not compared: raw rows, and outputs that are no arrays, cannot be."
    yield f"By turns with what was kept before it, random order, onnxruntime {found['runtime']}."


def _settings(profile: Mapping[str, Any]) -> Iterator[str]:
    """The profile's threads and session as a command line takes them."""
    session = profile["session"]
    yield f"threads={profile['threads']}"
    if session["optimisation"] != "all":
        yield f"session.optimisation={session['optimisation']}"
    if session["entries"]:
        held = ", ".join(f'{name}: "{value}"' for name, value in session["entries"].items())
        yield f"'session.entries={{{held}}}'"
