"""All suggestions of a run, the likeliest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edgesft.report.stages import metric_of
from edgesft.report.suggest import accuracy, speed
from edgesft.report.suggest.found import Found, Suggestion, lost
from edgesft.report.suggest.undecided import undecided

SHOWN = 3

METRICS = ("max_drop", "min_metric")

Told = dict[str, Any]


def suggestions(results: Mapping[str, Any], most: int = SHOWN) -> list[Told]:
    """The changes most likely to meet a budget that did not hold; empty where it did.

    Nothing is said that the run did not measure: a value that is to be expected is a measured one times measured
    shares, and where there are none there is no value.

    Args:
        results: What `results.json` holds.
        most: At most so many.

    Returns:
        Of each `change`, `settings` (`a.b=c`), `evidence`, `values` (line → what is to be expected) and `drop`; JSON
        values.
    """
    found = Found(results)
    offered: list[Suggestion] = []
    if found.missed:
        for source in (speed.rolled_back, speed.candidates, speed.cut, speed.shorter, speed.untried):
            offered += source(found)
    if any(name.split(".")[0] in METRICS and line["verdict"] == "fail" for name, line in found.lines.items()):
        for source in (accuracy.gentler, accuracy.milder, accuracy.longer, accuracy.rounded, accuracy.diagnosed):
            offered += source(found)
    offered = sorted(offered, key=lambda each: _rank(found, each))
    return [asdict(each) | {"settings": list(each.settings)} for each in [*offered, *undecided(found)][:most]]


def expectation(suggestion: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """What is to be expected of a change, in words; empty where nothing was measured that tells."""
    limits = {line["name"]: line for line in results["budget"]}
    parts = [
        f"{name} about {value:.3g} (now {limits[name]['value']:.3g}, limit {limits[name]['limit']:g})"
        for name, value in suggestion["values"].items()
        if name in limits
    ]
    if suggestion["drop"] is not None:
        parts.append(f"{lost(metric_of(results), suggestion['drop'])} in all")
    return ", ".join(parts)


def _rank(found: Found, each: Suggestion) -> tuple[int, float]:
    """What meets every missed line at a price that was measured and allowed comes first; then by the price."""
    meets = bool(each.values) and all(
        (value := each.values.get(name)) is not None and value <= line["limit"] for name, line in found.missed.items()
    )
    priced = each.drop is not None
    within = priced and (each.drop or 0.0) <= found.allowance
    order = [meets and within, meets and not priced, within, meets, bool(each.values), True].index(True)
    return order, each.drop if each.drop is not None else found.drop(found.last)
