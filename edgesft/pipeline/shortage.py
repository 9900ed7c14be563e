"""Whether there are enough validation rows for what the budget allows: budgets change, and nothing is trained anew."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from edgesft.stages.context import StageReport

SIGMAS = 1.645
"""Of a one-sided 95 % bound, as the budget's."""


def diagnosed(report: StageReport, allowance: float) -> StageReport:
    """A training's report with what its diagnosis says of the rows, where it tells how it answered them.

    Args:
        report: Its details have `answered` (`rows`, and `correct`: the share) and `diagnosis` where there is one.
        allowance: How far the deciding metric may fall.
    """
    answered = report.details.get("answered")
    found = answered and few_rows(answered["correct"], answered["rows"], allowance)
    if not found:
        return report
    return replace(report, details={**report.details, "diagnosis": [*report.details["diagnosis"], found]})


def few_rows(correct: float, rows: int, claim: float) -> dict[str, Any] | None:
    """A finding, as `train.diagnosis.Finding` has it in JSON, where the share of rows is known worse than a claim.

    Args:
        correct: Share of the rows that are answered right.
        rows: How many there are.
        claim: The change that is to be seen (0.01 is a point), above 0.
    """
    # One row's worth at least: none wrong of few says little.
    spread = max(correct * (1 - correct), 1 / rows)
    wide = SIGMAS * math.sqrt(spread / rows)
    if wide <= claim:
        return None
    enough = f"about {math.ceil((SIGMAS / claim) ** 2 * spread):,} rows, or a" if claim > 0 else "a"
    return {
        "name": "few-rows",
        "message": f"with {rows} validation rows, a share of {correct:.1%} is known to ±{wide * 100:.1f} points; "
        f"the allowance is {claim * 100:g}",
        "hint": f"{enough} larger allowance; changes compared row by row need fewer",
        "rows": [],
    }
