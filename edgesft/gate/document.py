"""The result of a gate, in the one form that every output is made from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from edgesft import __version__
from edgesft.budget.verdict import Line, Verdict, worst
from edgesft.spec.document import Document

Kind = Literal["static", "timed", "metric"]
"""Repeats to the last digit, on any machine; varies with time and machine; comes from predictions on rows."""

TIMED = (
    "latency_ms",
    "latency_ratio",
    "real_time_factor",
    "first_token_ms",
    "tokens_per_second",
    "picture_ms",
    "load_ms",
    "first_inference_ms",
    "peak_memory_mb",
)
GROWING = ("p50", "p90", "p95", "p99", "load", "first_inference", "peak_memory")
"""What is timed of `max_growth`; resident memory is no time, but varies from one process to the next."""
METRICS = ("max_drop", "min_metric")

COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT")
"""Environment variables in which CI services say the commit."""


@dataclass(frozen=True)
class Place:
    """Where a limit stands in the user's file.

    Attributes:
        file: As the user named it.
        line: From 1.
    """

    file: str
    line: int


@dataclass(frozen=True)
class GateLine:
    """A line with what a gate knows about it besides.

    Attributes:
        line: The limit, what was found and the verdict.
        kind: Whether it varies.
        place: Where the limit stands, where it stands in a file.
        accepted: Why a failure is let through, until when; then the line's verdict is `pass`.
        gates: Whether the verdict of all counts it; otherwise it is only shown.
        change: Of a comparison: what the candidate is (`paired.Change`).
    """

    line: Line
    kind: Kind
    place: Place | None = None
    accepted: str | None = None
    gates: bool = True
    change: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        data = {**self.line.to_json(), "kind": self.kind, "gates": self.gates}
        if self.place:
            data["place"] = {"file": self.place.file, "line": self.place.line}
        told = {"accepted": self.accepted, "change": self.change}
        return data | {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class GateDocument:
    """What a gate found.

    Attributes:
        schema: `edgesft/check` or `edgesft/compare`.
        subject: What was held against the limits: at least its `name`.
        lines: In the order in which they are shown.
        notes: What a reader must know to believe them.
        facts: Everything else, JSON values only; its keys stand beside the others.
    """

    schema: str
    subject: Mapping[str, Any]
    lines: Sequence[GateLine]
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the lines that gate."""
        return worst(each.line.verdict for each in self.lines if each.gates)

    def to_json(self) -> dict[str, Any]:
        """JSON form, schema version 1."""
        return {
            "schema": self.schema,
            "schema_version": 1,
            "edgesft": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "verdict": self.verdict,
            "subject": dict(self.subject),
            "lines": [each.to_json() for each in self.lines],
            "notes": list(self.notes),
            **self.facts,
        }


def kind(name: str) -> Kind:
    """What kind of line has this name: `latency_ms.p95` is timed."""
    first, _, rest = name.partition(".")
    if first in TIMED or (first == "max_growth" and rest in GROWING):
        return "timed"
    return "metric" if first in METRICS else "static"


def placed(line: Line, document: Document | None) -> GateLine:
    """A line with the place of its limit in the file that states it."""
    loc: tuple[str | int, ...] = tuple(line.name.split("."))
    number = document.lines.get(loc) if document else None
    place = Place(document.source, number) if document and number else None
    return GateLine(line, kind(line.name), place)


def accepted(gate_line: GateLine, why: str) -> GateLine:
    """The line, let through."""
    return replace(gate_line, line=replace(gate_line.line, verdict="pass"), accepted=why)


def commit() -> str | None:
    """The commit that is checked out, where CI or git tell it."""
    for name in COMMITS:
        if os.environ.get(name):
            return os.environ[name]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S607
        return done.stdout.strip()
    return None
