"""Documents of gates that nobody ran."""

from __future__ import annotations

from typing import Any

from edgesft.budget.verdict import Line, Verdict
from edgesft.gate.document import GateDocument, GateLine, Place, accepted, kind

CREATED = "2030-01-02T03:04:05+00:00"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MACHINE = {"architecture": "riscv64", "system": "Linux", "model": "a board", "cores": 4}


def line(name: str, verdict: Verdict = "pass", *, at: int | None = None, **changes: Any) -> GateLine:
    """A line of a check; a whole number that is counted, or a time with bounds, as its name says."""
    timed = kind(name) == "timed"
    figures = {"value": 6.0, "lower": 5.9, "upper": 6.1} if timed else {"value": 12.0, "lower": None, "upper": None}
    figures |= {"limit": 10.0, "reason": None} | {
        name: changes.pop(name) for name in {*changes} & set(Line.__annotations__)
    }
    place = Place(changes.pop("file", "ci/budget.yaml"), at) if at else None
    return GateLine(Line(name=name, verdict=verdict, **figures), changes.pop("kind", kind(name)), place, **changes)


LINES = (
    line("latency_ms.p95", value=3.5, lower=3.25, upper=3.75, limit=5.0, at=4),
    line("latency_ms.p99", "inconclusive", limit=7.5, upper=None, reason="n=100 is too small to bound p99", at=5),
    line("size_mb", "fail", at=6),
    line("nodes", "inconclusive", value=None, reason="it was not counted", at=7),
    line("parameters", value=22_713_216, limit=25_000_000, at=8),
    accepted(line("max_growth.size", "fail", value=1.25, limit=0.0), "the new head, until 2030-03-01"),
)
"""One of each kind."""


def check(*lines: GateLine, name: str = "model.onnx", **changes: Any) -> dict[str, Any]:
    """The JSON form of a check.

    Args:
        lines: By default `LINES`.
        name: Of the subject.
        changes: Keys that take the place of others, and more of them.
    """
    facts = {"profile": "small-board", "budget": "ci/budget.yaml", "measurement": {"machine": MACHINE}}
    notes = ["measured here on a board, 4 cores"]
    document = GateDocument("edgesft/check", {"name": name, "sha256": "ab"}, lines or LINES, notes, facts)
    return {**document.to_json(), "created": CREATED, "commit": COMMIT, **changes}


def unlimited() -> dict[str, Any]:
    """The JSON form of a check against a budget that limits nothing."""
    return check(lines=[], verdict="pass")


def compare(*lines: GateLine) -> dict[str, Any]:
    """The JSON form of a comparison."""
    some = (
        line("latency.p50", "fail", value=1.08, lower=1.06, upper=1.1, limit=1.025, change="slower", kind="timed"),
        line(
            "latency.p95",
            "fail",
            value=1.2,
            lower=1.1,
            upper=1.3,
            limit=1.025,
            change="slower",
            kind="timed",
            gates=False,
        ),
        line("size", "pass", value=0.5, limit=1.0, change="smaller", gates=False),
    )
    facts = {"baseline": {"name": "old.onnx"}, "profile": "small-board", "machine": MACHINE}
    document = GateDocument("edgesft/compare", {"name": "new.onnx"}, lines or some, ["3 blocks"], facts)
    return {**document.to_json(), "created": CREATED, "commit": COMMIT}
