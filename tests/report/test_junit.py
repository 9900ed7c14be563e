"""What a gate found as JUnit XML, read back."""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree

from edgesft.report.junit import junit
from tests.report.gates import COMMIT, check, compare, line, unlimited


def cases(document: dict) -> dict[str, ElementTree.Element]:
    return {case.get("name"): case for case in ElementTree.fromstring(junit(document)).iter("testcase")}


def test_the_suite_counts_and_tells_what_was_measured() -> None:
    suite = ElementTree.fromstring(junit(check())).find("testsuite")
    assert suite.get("name") == "edgesft check model.onnx"
    assert [suite.get(name) for name in ("tests", "failures", "skipped", "errors")] == ["6", "1", "2", "0"]
    assert datetime.fromisoformat(suite.get("timestamp")).year == 2030
    told = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert told["commit"] == COMMIT and told["machine"] == "a board" and told["verdict"] == "fail"


def test_what_is_not_known_is_left_out() -> None:
    text = junit(check(commit=None, measurement=None))
    assert '"commit"' not in text and '"machine"' not in text


def test_a_case_a_line() -> None:
    found = cases(check())
    assert {case.get("classname") for case in found.values()} == {"edgesft.check.model.onnx"}
    assert (found["size_mb"].get("file"), found["size_mb"].get("line")) == ("ci/budget.yaml", "6")
    assert found["max_growth.size"].get("file") is None
    assert len(found["latency_ms.p95"]) == 0
    assert found["size_mb"].find("failure").get("message") == "size_mb: got 12, the limit is 10"
    assert found["latency_ms.p99"].find("skipped").get("message") == "n=100 is too small to bound p99"
    (accepted,) = found["max_growth.size"]
    assert accepted.tag == "system-out" and "accepted: the new head, until 2030-03-01" in accepted.text


def test_what_is_only_shown_fails_nothing() -> None:
    document = compare(line("latency.p95", "fail", gates=False), line("load", "inconclusive", gates=False))
    found = cases(document)
    assert document["verdict"] == "pass" and [case[0].tag for case in found.values()] == ["system-out"] * 2
    assert "only shown" in found["latency.p95"][0].text


def test_characters_that_xml_cannot_hold() -> None:
    reason = "a\x00b\x1b[31m <&\"'> \ud800 \ufffe\r\nnächste 😀 ]]>"
    document = check(
        line("size_mb", "fail", reason=reason), line("nodes", "inconclusive", reason=reason), name="m<\x01>"
    )
    text = junit(document)
    assert text.isascii()
    found = cases(document)
    message = found["nodes"].find("skipped").get("message")
    assert message == "a\ufffdb\ufffd[31m <&\"'> \ufffd \ufffd\r\nnächste 😀 ]]>"
    assert found["size_mb"].get("classname") == "edgesft.check.m<\ufffd>"
    assert "]]>" in found["size_mb"].find("failure").text


def test_nothing_limited() -> None:
    suite = ElementTree.fromstring(junit(unlimited())).find("testsuite")
    assert suite.get("tests") == "0" and suite.find("testcase") is None
