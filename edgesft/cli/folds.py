"""`edgesft folds RECIPE [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

STOPPED = "stopped; run the same command again to do the remaining folds"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipe file")
    parser.add_argument("settings", nargs="*", metavar="a.b=c", help="values that override the recipe's")
    parser.add_argument("--folds", type=int, default=5, help="number of folds (default: 5)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print (default: table)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def main(options: argparse.Namespace) -> int:
    """Fine-tunes a model a fold and prints what each says to the rows that it did not see."""
    from edgesft.pipeline.folds import folds
    from edgesft.progress import Progress
    from edgesft.report import folds as report

    found = folds(options.recipe, options.folds, options.settings, progress=Progress(quiet=options.quiet))
    print(json.dumps(found, indent=1) if options.format == "json" else report.render(found), end="")
    return 0
