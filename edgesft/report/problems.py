"""What is wrong with recipes, profiles and budgets, for services that show it beside the files' lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from edgesft import __version__
from edgesft.errors import Problem
from edgesft.report.github import MOST, escaped, escaped_property
from edgesft.report.lines import clean, path
from edgesft.report.sarif import SCHEMA, VERSION, artifact

RULE = "edgesft/valid"
"""All of them are of one kind: the file says what cannot be run."""

FINGERPRINT = "edgesft/problem/v1"
"""Names the way in which the fingerprint is made; another way needs another name."""

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?: (?P<key>.*))?", re.DOTALL)


def rows(problems: Sequence[tuple[str, Problem]]) -> list[dict[str, Any]]:
    """The problems as JSON values.

    Args:
        problems: The file that was checked, and what is wrong with it.

    Returns:
        Of each: `message`, `hint`, `file`, `line` (from 1; None where no line is to blame) and `key`. The file is the
        one that the problem lies in, which a recipe may only name.
    """
    found = []
    for file, problem in problems:
        at = _PLACE.fullmatch(problem.where or "")
        line = int(at["line"]) if at else None
        place = {"file": at["file"] if at else file, "line": line, "key": at["key"] if at else None}
        found.append({"message": problem.message, "hint": problem.hint, **place})
    return found


def document(
    found: Sequence[Mapping[str, Any]], warnings: Sequence[Mapping[str, Any]], missing: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What was found as one JSON object, whose verdict is `error` where not everything could be checked.

    Args:
        found: The problems, as `rows` gives them.
        warnings: What stops nothing, likewise.
        missing: What this environment lacks, likewise.
    """
    verdict = "fail" if found else "error" if missing else "pass"
    return {"verdict": verdict, "problems": [*found], "warnings": [*warnings], "missing": [*missing]}


def github(found: Sequence[Mapping[str, Any]], level: Literal["error", "warning"] = "error") -> list[str]:
    """Workflow commands, one a line, for at most as many problems as GitHub shows of a level.

    Args:
        found: What `rows` gives.
        level: What they are shown as.
    """
    shown = found if len(found) <= MOST else found[: MOST - 1]
    lines = []
    for row in shown:
        properties = {"file": path(row["file"])} | ({"line": str(row["line"])} if row["line"] else {})
        told = ",".join(f"{name}={escaped_property(value)}" for name, value in properties.items())
        lines.append(f"::{level} {told},title=edgesft::{escaped(_sentence(row))}")
    if rest := len(found) - len(shown):
        lines.append(f"::{level} title=edgesft::{rest} more {level}s: see the log of this step")
    return lines


def sarif(
    found: Sequence[Mapping[str, Any]],
    warnings: Sequence[Mapping[str, Any]] = (),
    missing: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """As `document`, as a SARIF log; what could not be checked is no result there, but why the tool did not succeed."""
    rule = {"id": RULE, "shortDescription": {"text": "Recipes, device profiles and budgets must be valid"}}
    driver = {"name": "edgesft", "version": __version__, "rules": [rule]}
    lacks = [{"level": "error", "message": {"text": clean(_sentence(row))}} for row in missing]
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "edgesft/validate/"},
        "invocations": [{"executionSuccessful": not lacks, "toolExecutionNotifications": lacks}],
        "results": [*(_result(row, "error") for row in found), *(_result(row, "warning") for row in warnings)],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _result(row: Mapping[str, Any], level: str) -> dict[str, Any]:
    # Lines move; what is said of which key stays.
    told = f"{row['file']}\n{row['key']}\n{row['message']}".encode("utf-8", "surrogatepass")
    region = {"region": {"startLine": row["line"]}} if row["line"] else {}
    return {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": level,
        "message": {"text": clean(_sentence(row))},
        "locations": [{"physicalLocation": {"artifactLocation": artifact(path(row["file"])), **region}}],
        "partialFingerprints": {FINGERPRINT: hashlib.sha256(told).hexdigest()[:32]},
    }


def _sentence(row: Mapping[str, Any]) -> str:
    return f"{row['message']}. Try: {row['hint']}" if row["hint"] else str(row["message"])
