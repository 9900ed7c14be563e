"""What a gate found as SARIF: the structure that the schema and GitHub's upload ask for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from edgesft.report.sarif import FINGERPRINT, sarif
from tests.report.gates import check, compare, line, unlimited

ALLOWED = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "automationDetails", "results"},
    "driver": {"name", "version", "rules"},
    "rule": {"id", "shortDescription", "fullDescription", "help", "defaultConfiguration"},
    "result": {"ruleId", "ruleIndex", "level", "message", "partialFingerprints", "locations"},
    "artifact": {"uri", "uriBaseId"},
}
"""Properties of the schema that are used; it allows no others than its own."""


def run(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = json.loads(json.dumps(sarif(document)))["runs"]
    return found


def valid(log: dict[str, Any]) -> bool:
    """What the schema requires of these properties, and GitHub of a file that is uploaded to it."""
    assert set(log) == ALLOWED["log"] and log["version"] == "2.1.0" and len(log["runs"]) == 1
    (found,) = log["runs"]
    assert set(found) == ALLOWED["run"] and set(found["tool"]) == {"driver"}
    driver = found["tool"]["driver"]
    assert set(driver) == ALLOWED["driver"] and driver["name"] == "edgesft"
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    for rule in driver["rules"]:
        assert set(rule) == ALLOWED["rule"]
        assert all(rule[name]["text"] for name in ("shortDescription", "fullDescription", "help"))
    for result in found["results"]:
        assert set(result) <= ALLOWED["result"] and result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
        for location in result.get("locations", []):
            artifact = location["physicalLocation"]["artifactLocation"]
            assert set(artifact) <= ALLOWED["artifact"] and re.fullmatch(r"[\w./~%:-]+", artifact["uri"], re.ASCII)
            assert location["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
    return True


@pytest.mark.parametrize("document", [check(), compare(), unlimited()], ids=["check", "compare", "nothing"])
def test_the_structure(document: dict[str, Any]) -> None:
    assert valid(sarif(document))


def test_only_what_is_counted_and_does_not_pass() -> None:
    found = run(check())
    rules = [rule["id"] for rule in found["tool"]["driver"]["rules"]]
    assert rules == ["edgesft/size_mb", "edgesft/nodes", "edgesft/parameters", "edgesft/max_growth.size"]
    assert [(each["ruleId"], each["level"]) for each in found["results"]] == [
        ("edgesft/size_mb", "error"),
        ("edgesft/nodes", "note"),
    ]
    assert found["results"][0]["message"]["text"] == "model.onnx: size_mb: got 12, the limit is 10"


def test_what_is_only_shown_is_no_result() -> None:
    assert run(compare(line("size", "fail", gates=False)))["results"] == []


def test_where_the_limit_stands() -> None:
    (found,) = run(check(line("size_mb", "fail", at=6, file="ci\\my budgets\\ä#1.yaml")))["results"]
    (location,) = found["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "ci/my%20budgets/%C3%A4%231.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 6},
    }


def test_a_limit_that_no_line_states_stands_at_its_file() -> None:
    (found,) = run(check(line("max_growth.size", "fail")))["results"]
    (location,) = found["locations"]
    assert location["physicalLocation"] == {"artifactLocation": {"uri": "ci/budget.yaml", "uriBaseId": "%SRCROOT%"}}
    (found,) = run(compare(line("size", "fail")))["results"]
    assert "locations" not in found


@pytest.mark.parametrize(
    ("file", "uri"),
    [("/no such/b.yaml", "file:///no%20such/b.yaml"), ("C:\\no such\\b.yaml", "file:///C:/no%20such/b.yaml")],
)
def test_a_file_outside_of_the_repository(file: str, uri: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A drive's letter is an ordinary folder here: the repository must not be where it would be looked for.
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    document = check(line("size_mb", "fail", at=6, file=file))
    (found,) = run(document)["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri} and valid(sarif(document))


def test_fingerprints_are_of_the_rule_and_the_subject() -> None:
    def mark(name: str, subject: str, value: float, at: int) -> str:
        (found,) = run(check(line(name, "fail", value=value, at=at), name=subject))["results"]
        return found["partialFingerprints"][FINGERPRINT]

    first = mark("size_mb", "a.onnx", 12, 6)
    assert first == mark("size_mb", "a.onnx", 13, 60)
    assert len({first, mark("size_mb", "b.onnx", 12, 6), mark("nodes", "a.onnx", 12, 6)}) == 3


def test_subjects_do_not_replace_each_other() -> None:
    assert run(check(name="a.onnx"))["automationDetails"] != run(check(name="b.onnx"))["automationDetails"]
