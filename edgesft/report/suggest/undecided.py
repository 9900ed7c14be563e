"""What would decide a line that is inconclusive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from edgesft.budget.percentile import needed
from edgesft.report.suggest.found import Found, Suggestion

MOST = 100
"""Times the samples beyond which a limit lies on the figure itself: no number of them tells on which side."""

BENCHMARK = ("latency_ms", "latency_ratio", "real_time_factor", "tokens_per_second", "picture_ms")
"""Kinds of lines on the times of the benchmark, of which a recipe can ask for more."""

STARTS = ("load_ms", "first_inference_ms", "first_token_ms")
"""Kinds of lines on other times: a run takes as many as it takes."""


def undecided(found: Found) -> list[Suggestion]:
    """One for each thing to do, whatever the number of lines that it would decide."""
    open_ = {name: line for name, line in found.lines.items() if line["verdict"] == "inconclusive"}
    return list({each.change: each for name, line in open_.items() for each in [_of(found, name, line)]}.values())


def _of(found: Found, name: str, line: Mapping[str, Any]) -> Suggestion:
    kind, reason = name.partition(".")[0], str(line.get("reason") or "")
    known = (found.results.get("environment") or {}).get("differences") or ()
    if differences := [each for each in known if each in reason]:
        return Suggestion(
            "measure on the device itself: edgesft run … --device ssh://user@board",
            f"{name} can only be decided on the profile's machine; {'; '.join(differences)}",
        )
    measured = found.last.get("measurement") or {}
    if unsteady := [each for each in measured.get("unsteady") or () if each in reason]:
        return Suggestion("measure again with nothing else running, and the clock fixed", "; ".join(unsteady))
    if line["value"] is None or line["upper"] is None or line["lower"] is None:
        return _short(found, name, line, reason)
    bounds = f"{line['value']:.4g} with bounds {line['lower']:.4g} to {line['upper']:.4g}, limit {line['limit']:g}"
    if kind in STARTS:
        return Suggestion(f"change the limit of {name}, or measure again with nothing else running", bounds)
    timed = kind in BENCHMARK
    count = (found.last.get("latency_ns") or {}).get("n") if timed else (found.results["evaluation"] or {}).get("rows")
    side = line["upper"] if line["value"] <= line["limit"] else line["lower"]
    apart = abs(line["limit"] - line["value"])
    # Bounds come together with the root of the number of samples.
    times = (abs(side - line["value"]) / apart) ** 2 if apart else math.inf
    if not count or times > MOST:
        return Suggestion(f"change the limit of {name}, or the model: the measured value lies on the limit", bounds)
    wanted = math.ceil(count * max(times, 1.0) * 1.2 / 100) * 100
    evidence = f"{name} is {line['value']:.4g} ({line['lower']:.4g} to {line['upper']:.4g}) of n = {count}, limit "
    evidence += f"{line['limit']:g}: about {wanted:,} would tell them apart, if they vary like these"
    if not timed:
        return Suggestion(f"more rows of {found.results['split']}: about {wanted:,} instead of {count:,}", evidence)
    if found.spec("benchmark") is None:
        return Suggestion(f"add the stage {{stage: benchmark, samples: {wanted}}}", evidence)
    return Suggestion(f"take {wanted:,} samples", evidence, (f"stages.benchmark.samples={wanted}",))


def _short(found: Found, name: str, line: Mapping[str, Any], reason: str) -> Suggestion:
    kind, _, percentile = name.partition(".p")
    if kind in BENCHMARK and percentile.isdecimal():
        least = needed(int(percentile))
        has = (found.last.get("latency_ns") or {}).get("n") or 0
        if has < least:
            settings = (f"stages.benchmark.samples={least}",) if found.spec("benchmark") else ()
            return Suggestion(f"take at least {least} samples: fewer do not bound p{percentile}", reason, settings)
    if line["value"] is None:
        why = f"find out why {name} has no value: {reason or 'nothing was measured'}"
        return Suggestion(why, "nothing decides the line")
    more = f"measure {kind} more often" if kind in (*BENCHMARK, *STARTS) else f"more rows of {found.results['split']}"
    return Suggestion(f"{more}: the value of {name} has no bounds", reason)
