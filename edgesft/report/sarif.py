"""What a gate counts, as SARIF 2.1.0 (OASIS, errata 01), for services that show findings beside the code.

Timings are left out: a finding there is a property of the files, and stays until they change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from edgesft.report.lines import clean, path, place, sentence, state

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

LEVELS = {"fail": "error", "inconclusive": "note"}
"""State of a line → level of its result; lines of other states are no results."""

FINGERPRINT = "edgesft/line/v1"
"""Names the way in which the fingerprint is made; another way needs another name."""


def sarif(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's static lines as a SARIF log: a rule for each, a result for each that did not pass.

    A result without a location makes GitHub refuse the whole file, so that a limit that no line of the budget file
    states, such as a default of it, stands at the file as a whole.

    Args:
        document: `GateDocument.to_json()`.
    """
    lines = [line for line in document["lines"] if line["kind"] == "static"]
    rules = list(dict.fromkeys(_rule_id(line) for line in lines))
    results = [_result(line, rules.index(_rule_id(line)), document) for line in lines if state(line) in LEVELS]
    driver = {"name": "edgesft", "version": document["edgesft"], "rules": [_rule(rule) for rule in rules]}
    run = {
        "tool": {"driver": driver},
        # Results of one subject never replace those of another.
        "automationDetails": {"id": f"{document['schema']}/{clean(document['subject']['name'])}/"},
        "results": results,
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule_id(line: Mapping[str, Any]) -> str:
    return f"edgesft/{clean(line['name'])}"


def _rule(rule: str) -> dict[str, Any]:
    name = rule.removeprefix("edgesft/")
    short = f"The limit on {name} must hold"
    return {
        "id": rule,
        "shortDescription": {"text": short},
        "fullDescription": {"text": f"{short}; it is counted on the model's file and repeats on any machine."},
        "help": {"text": f"Bring {name} within its limit, or change the limit where the budget states it."},
        "defaultConfiguration": {"level": "error"},
    }


def _result(line: Mapping[str, Any], index: int, document: Mapping[str, Any]) -> dict[str, Any]:
    rule, name = _rule_id(line), document["subject"]["name"]
    digest = hashlib.sha256(f"{rule}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()
    result = {
        "ruleId": rule,
        "ruleIndex": index,
        "level": LEVELS[state(line)],
        "message": {"text": clean(f"{name}: {sentence(line)}")},
        "partialFingerprints": {FINGERPRINT: digest[:32]},
    }
    location = _location(line, document.get("budget"))
    return result | {"locations": [location]} if location else result


def _location(line: Mapping[str, Any], budget: str | None) -> dict[str, Any] | None:
    if stands := place(line):
        file, number = stands
        return {"physicalLocation": {"artifactLocation": artifact(file), "region": {"startLine": number}}}
    return {"physicalLocation": {"artifactLocation": artifact(path(budget))}} if budget else None


def artifact(file: str) -> dict[str, str]:
    """A file of the repository by its path there, another one by its whole path."""
    encoded = quote(file, safe="/", errors="surrogateescape")
    if PurePosixPath(file).is_absolute():
        return {"uri": f"file://{encoded}"}
    if file[1:3] == ":/":  # Of Windows, where the drive's colon stays.
        return {"uri": f"file:///{file[0]}:{encoded[len('C%3A') :]}"}
    return {"uri": encoded, "uriBaseId": "%SRCROOT%"}
