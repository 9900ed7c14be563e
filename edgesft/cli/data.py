"""`edgesft data RECIPE [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipe file")
    parser.add_argument("settings", nargs="*", metavar="a.b=c", help="values that override the recipe's")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print (default: table)")


def main(options: argparse.Namespace) -> int:
    """Prints what is in the recipe's rows and what of it will hurt; findings are no failure."""
    from edgesft.pipeline.survey import survey
    from edgesft.report import data as report

    found = survey(options.recipe, options.settings)
    print(json.dumps(found, indent=1) if options.format == "json" else report.render(found), end="")
    return 0
