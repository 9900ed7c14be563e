"""What to change after a budget that did not hold."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.report.html.markup import tag
from edgesft.report.html.parts import section
from edgesft.report.stages import rerun
from edgesft.report.suggest import expectation

LEAD = "The changes most likely to meet the budget, based on what this run measured. Expected values are estimates."


def steps(results: Mapping[str, Any]) -> Markup | None:
    """The suggestions with what speaks for each; None where there are none."""
    items = [_step(each, results) for each in results.get("suggestions") or ()]
    if not items:
        return None
    return section("next", "What to try next", tag("div", tag("ol", *items, class_="plain"), class_="card"), lead=LEAD)


def _step(each: Mapping[str, Any], results: Mapping[str, Any]) -> Markup:
    told = expectation(each, results)
    return tag(
        "li",
        tag("strong", each["change"]),
        tag("p", each["evidence"]),
        tag("p", f"Expected: {told}.") if told else None,
        tag("p", tag("code", shlex.join([*rerun(results), *each["settings"]]))) if each["settings"] else None,
    )
