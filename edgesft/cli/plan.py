"""`edgesft plan recipe.yaml [a.b=c …]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipe file")
    parser.add_argument("settings", nargs="*", metavar="a.b=c", help="values that replace the recipe's")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Prints the steps with their content keys, supposing that every stage pays; runs nothing."""
    import json

    from edgesft.pipeline.check import check
    from edgesft.pipeline.forecast import forecast
    from edgesft.pipeline.job import Job
    from edgesft.progress import Progress
    from edgesft.store.store import Store

    checked = check(options.recipe, options.settings)
    plans = {}
    for profile in checked.profiles:
        plans[profile.name] = forecast(Job(checked.recipe, checked.base, profile, Store(), Progress()))
    if options.format == "json":
        print(json.dumps(plans, indent=1))
        return 0
    for name, steps in plans.items():
        print(f"profile {name}")
        for step in steps:
            state = "in the store" if step["stored"] else "to do"
            key = step["key"][:12] if step["key"] else "-" * 12
            forms = f"{step['takes']:>5} → {step['gives'] or '':5}"
            print(f"  {step['name']:22} {forms} {key}  {state:12}  {step['settings']}")
    return 0
