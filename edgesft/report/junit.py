"""A gate as JUnit XML, which every CI service shows as a list of tests.

The elements and attributes are those that the Ant task and Maven's surefire plugin write; JUnit itself defines none.
JUnit knows no warning, so that what is open is skipped, with its reason, and what is let through passes, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from edgesft.report.lines import clean, gate, machine, place, sentence, state, subject, verdict


def junit(document: Mapping[str, Any]) -> str:
    """The document as XML: a suite, with a case for each line.

    Args:
        document: `GateDocument.to_json()`.

    Returns:
        XML that is ASCII throughout, so that no re-encoding on its way to a file can break it.
    """
    states = [state(line) for line in document["lines"]]
    counts = {
        "tests": str(len(states)),
        "failures": str(states.count("fail")),
        "skipped": str(states.count("inconclusive")),
        "errors": "0",
    }
    name = f"{gate(document)} {subject(document)}"
    root = ElementTree.Element("testsuites", {"name": gate(document), **counts})
    # A line takes no time of its own; readers that insist on the attribute find it.
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts, "time": "0"})
    suite.set("timestamp", document["created"])
    _properties(suite, document)
    classname = f"{document['schema'].replace('/', '.')}.{clean(document['subject']['name'])}"
    for line in document["lines"]:
        _case(suite, classname, line)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "us-ascii").decode("ascii") + "\n"


def _properties(suite: ElementTree.Element, document: Mapping[str, Any]) -> None:
    told = {
        "commit": document.get("commit"),
        "machine": machine(document),
        "profile": document.get("profile"),
        "edgesft": document.get("edgesft"),
        "verdict": document["verdict"],
    }
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in told.items():
        if value:
            ElementTree.SubElement(properties, "property", {"name": name, "value": clean(str(value))})


def _case(suite: ElementTree.Element, classname: str, line: Mapping[str, Any]) -> None:
    case = ElementTree.SubElement(suite, "testcase", {"classname": classname, "name": clean(line["name"]), "time": "0"})
    if stands := place(line):
        case.set("file", clean(stands[0]))
        case.set("line", str(stands[1]))
    found = state(line)
    if found == "fail":
        ElementTree.SubElement(case, "failure", {"message": sentence(line), "type": line["kind"]}).text = verdict(line)
    elif found == "inconclusive":
        ElementTree.SubElement(case, "skipped", {"message": clean(line.get("reason") or sentence(line))})
    elif found == "accepted":
        ElementTree.SubElement(case, "system-out").text = sentence(line)
    elif found == "shown":
        ElementTree.SubElement(case, "system-out").text = f"{sentence(line)}\n{verdict(line)}"
