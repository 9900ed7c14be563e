"""`edgesft history FILE|FOLDER|PATTERN …`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from edgesft.errors import InputError, Problem

WORSENED = 1
"""Exit code where `--fail-on-step` is given and the newest level of a series is worse than the one before."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE|FOLDER|PATTERN",
        help="JSON files written by check, run or bench; folders are searched for them",
    )
    parser.add_argument(
        "--figure",
        action="append",
        default=[],
        metavar="NAME",
        help="p50, size, accuracy …, or all; may be repeated (default: figures that should not grow, and all metrics)",
    )
    parser.add_argument("--model", metavar="NAME", help="only this model")
    parser.add_argument(
        "--min-step",
        default="0.02",
        metavar="SHARE",
        help="smallest change of a timed figure that counts as a step (default: 0.02, a ratio of 1.02)",
    )
    parser.add_argument(
        "--fail-on-step",
        action="store_true",
        help="exit with 1 if the newest level of a series is worse than the one before",
    )
    parser.add_argument("--format", choices=("table", "json", "markdown"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Reads the files, prints every series with its steps, and answers 0, or 1 where asked to fail on a step."""
    from edgesft.gate.history import history
    from edgesft.gate.search import NO_FILE

    least, problems = _share(options.min_step)
    if not options.words:
        problems.append(Problem("history must find at least one results file, got no file and no folder", NO_FILE))
    if problems:
        raise InputError(problems)
    found = history(options.words, figures=options.figure, model=options.model, min_step=least)
    _print(found.to_json(), options.format)
    return WORSENED if options.fail_on_step and found.worsened else 0


def _share(text: str) -> tuple[float, list[Problem]]:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value >= 0:
        return value, []
    return 0.0, [Problem(f"--min-step must be a share of 0 or more, got {text!r}", "0.02 for two per cent")]


def _print(document: Mapping[str, Any], form: str) -> None:
    from edgesft.report import history as report

    if form == "json":
        print(json.dumps(document, indent=1, allow_nan=False))
        return
    sys.stdout.write(report.markdown(document) if form == "markdown" else report.render(document, _width()))


def _width() -> int | None:
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else None
