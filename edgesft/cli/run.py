"""`edgesft run recipe.yaml [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.errors import InputError

if TYPE_CHECKING:
    from edgesft.api import Result

STOPPED = "stopped; run the same command again to continue"

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipe file")
    parser.add_argument("settings", nargs="*", metavar="a.b=c", help="values that override the recipe's")
    parser.add_argument("--output", type=Path, help="folder for the results (default: runs/<name>)")
    parser.add_argument("--device", metavar="D", help="where to measure: an interpreter, ssh://…, a name of --devices")
    parser.add_argument("--devices", type=Path, metavar="FILE", help="devices file (default: devices.yaml here)")
    parser.add_argument(
        "--tune", action="store_true", help="search for settings of the finetune stage first (needs Optuna)"
    )
    parser.add_argument("--trials", type=int, help="with --tune: maximum number of trainings (default: 10)")
    parser.add_argument(
        "--tune-minutes", type=float, help="with --tune: maximum training time in minutes, over all calls"
    )
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="what to print at the end (default: table)"
    )
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--quiet", action="store_true", help="no progress on standard error")
    told.add_argument(
        "--verbose", action="store_true", help="also print the libraries' messages, and progress more often"
    )


def main(options: argparse.Namespace) -> int:
    """Runs the recipe, prints what came of it, and answers with the verdict's exit code."""
    from edgesft import api
    from edgesft.cli.measure_options import device
    from edgesft.progress import VERBOSE, Progress

    limits = {"trials": options.trials, "minutes": options.tune_minutes}
    given = {name: value for name, value in limits.items() if value is not None}
    tune = None
    if options.tune:
        from edgesft.pipeline.tune import Tune

        tune = Tune(**given)
    elif given:
        raise InputError("--trials and --tune-minutes must come with --tune, got them without", "--tune")
    if options.verbose:
        os.environ[VERBOSE] = "1"
    progress = Progress(quiet=options.quiet)
    with device(options) as place:
        result = api.run(
            options.recipe, options.settings, output=options.output, tune=tune, device=place, progress=progress
        )
    if options.format == "json":
        print(json.dumps({name: dict(each.results) for name, each in result.profiles.items()}, indent=1))
    else:
        _print_tables(result, again(options))
    return EXIT_CODES[result.verdict]


def again(options: argparse.Namespace) -> list[str]:
    """The command as it was given, settings last."""
    named = {"--output": options.output, "--device": options.device, "--devices": options.devices}
    given = [part for name, value in named.items() if value is not None for part in (name, str(value))]
    return ["edgesft", "run", *given, str(options.recipe), *options.settings]


def _print_tables(result: Result, command: Sequence[str]) -> None:
    from rich.console import Console

    from edgesft.report.table import WIDTH, tables

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for each in result.profiles.values():
        # What a search found is said instead of searching again.
        tuned = (each.results.get("tuning") or {}).get("arguments") or ()
        console.print(tables(each.results, [*command, *tuned]))
        console.print(f"results: {each.folder}", highlight=False)
