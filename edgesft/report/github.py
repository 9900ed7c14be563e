"""A gate as GitHub's workflow commands, which it shows beside the lines of the budget file, and as a step's summary.

Commands and limits: docs.github.com, "Workflow commands for GitHub Actions"; the escapes are those of actions/toolkit,
which the runner undoes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.report.lines import STATES, State, clean, place, sentence, state
from edgesft.report.markdown import page

COMMANDS: Mapping[State, str] = {"fail": "error", "inconclusive": "warning", "accepted": "notice"}

MOST = 10
"""Annotations of a kind that GitHub shows of a step; further ones it drops without a word."""


def github(document: Mapping[str, Any]) -> list[str]:
    """Workflow commands, one a line: the lines that are not plainly good, the worst first, at most ten of a kind.

    Args:
        document: `GateDocument.to_json()`.
    """
    found = []
    for kind, command in COMMANDS.items():
        lines = [line for line in document["lines"] if state(line) == kind]
        shown = lines if len(lines) <= MOST else lines[: MOST - 1]
        found += [_annotation(command, line, document["subject"]["name"]) for line in shown]
        if rest := len(lines) - len(shown):
            found.append(f"::{command} title=edgesft::{rest} more lines {STATES[kind]}: see the summary of this step")
    return found


def summary(document: Mapping[str, Any]) -> str:
    """Markdown for the file that `$GITHUB_STEP_SUMMARY` names, far below the 1 MiB that a step may write there."""
    return page(document)


def _annotation(command: str, line: Mapping[str, Any], subject: str) -> str:
    stands = place(line)
    properties = {"file": stands[0], "line": str(stands[1])} if stands else {}
    properties["title"] = f"edgesft: {line['name']} of {subject}"
    told = ",".join(f"{name}={escaped_property(value)}" for name, value in properties.items())
    return f"::{command} {told}::{escaped(sentence(line))}"


def escaped(text: str) -> str:
    """Text as the message of a command."""
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """Text as the value of a command's property."""
    return escaped(text).replace(":", "%3A").replace(",", "%2C")
