"""`edgesft tune MODEL [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.cli import measure_options, new_files, numbers
from edgesft.errors import InputError

if TYPE_CHECKING:
    from edgesft.spec.profile import ProfileSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words", nargs="+", metavar="MODEL|a.b=c", help="an ONNX or ORT file, and values that override the profile's"
    )
    measure_options.arguments(parser, "this-machine")
    parser.add_argument(
        "--threads", type=numbers.natural, metavar="N", help="most threads to try (default: the device's cores)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the profile with what pays to this new file")
    parser.add_argument(
        "--optimised",
        type=Path,
        metavar="FILE",
        help="write the model that ONNX Runtime optimised ahead to this new file, if it pays or loads faster",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Tries threads and session options, prints what pays, and writes what is asked for."""
    from edgesft.measure.bench.tuning import tune
    from edgesft.progress import Progress
    from edgesft.report import tuning as report

    models, settings = measure_options.split(options.words)
    if not models:
        raise InputError("model must be an ONNX or ORT file, got none", "edgesft tune model.onnx")
    if options.threads == 0:
        raise InputError("--threads must be at least 1, got 0", "--threads 4")
    for file in filter(None, (options.write, options.optimised)):
        new_files.require_new(file)
    order = measure_options.order(options, models, settings)
    with measure_options.connected(order):
        tuned = tune(order, Progress(quiet=options.quiet), threads=options.threads, optimised=options.optimised)
    found = report.to_json(tuned)
    if options.write:
        new_files.write({options.write: _text(tuned.profile, options.write.stem)})
    if options.format == "json":
        print(json.dumps(found, indent=1))
        return 0
    from rich.console import Console

    from edgesft.report.table import WIDTH

    Console(width=None if sys.stdout.isatty() else WIDTH).print(report.tables(found))
    return 0


def _text(profile: ProfileSpec, name: str) -> str:
    """The profile as a file, under that file's name."""
    import yaml

    held = profile.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump({**held, "name": name}, sort_keys=False, allow_unicode=True)
