"""`edgesft plan recipe.yaml [a.b=c …]`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipe file")
    parser.add_argument("settings", nargs="*", metavar="a.b=c", help="values that override the recipe's")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Prints the steps with their content keys, supposing that every stage pays, and what they take; runs nothing."""
    import json

    from edgesft.pipeline.check import check
    from edgesft.pipeline.forecast import forecast, room
    from edgesft.pipeline.job import Job
    from edgesft.progress import Progress
    from edgesft.store.store import Store

    jobs = Job.each(check(options.recipe, options.settings), Store(), Progress())
    plans = {job.profile.name: forecast(job) for job in jobs}
    if options.format == "json":
        print(json.dumps(plans, indent=1))
        return 0
    for name, steps in plans.items():
        print(f"profile {name}")
        _print(steps)
    print(f"store: {jobs[0].store.root}, {room(jobs[0]) / 1e9:.1f} GB free")
    return 0


def _print(steps: Sequence[Mapping[str, Any]]) -> None:
    from edgesft.pipeline.forecast import total
    from edgesft.report.units import duration, megabytes

    for step in steps:
        state = "in the store" if step["stored"] else "to do"
        key = step["key"][:12] if step["key"] else "-" * 12
        forms = f"{step['takes']:>5} → {step['gives'] or '':5}"
        takes = "" if step["stored"] else "unknown" if step["seconds"] is None else duration(step["seconds"])
        print(f"  {step['name']:22} {forms} {key}  {state:12}  {takes:>9}  {step['settings']}")
    whole = total(steps)
    if len(whole["unknown"]) == len([step for step in steps if not step["stored"]]):
        print("  time and disk: unknown; no similar run on this machine yet")
        return
    basis = next((step["basis"] for step in steps if step["basis"]), None)
    more = f", not counting {', '.join(whole['unknown'])} (unknown)" if whole["unknown"] else ""
    told = f"about {duration(whole['seconds'])} and {megabytes(whole['bytes'])} of disk{more}"
    print(f"  {told}" + (f" (by {basis})" if basis else ""))
