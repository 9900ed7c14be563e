"""`edgesft bench MODEL … [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.cli import measure_options
from edgesft.errors import InputError, Problem

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgesft.measure.bench.order import Order
    from edgesft.progress import Progress
    from edgesft.stages.variants import Variants

PRECISIONS = ("fp32", "fp16", "int8", "int4")
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
UNAVAILABLE = 4


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words", nargs="+", metavar="MODEL|a.b=c", help="ONNX or ORT files, and values that override the profile's"
    )
    measure_options.arguments(parser, "this-machine")
    parser.add_argument("--reference", type=Path, metavar="MODEL", help="compare the answers with those of this model")
    parser.add_argument(
        "--precision",
        action="append",
        choices=PRECISIONS,
        help="convert the model to this precision first, in the form that each provider takes; may be repeated",
    )
    parser.add_argument("--calibration", type=Path, metavar="NPZ", help="requests that set the int8 ranges")
    parser.add_argument("--explain", action="store_true", help="show where the time goes and what to try")
    parser.add_argument(
        "--aa", action="store_true", help="measure the model against itself, to show this machine's noise"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Measures the models, prints what was found, and answers with the verdict's exit code."""
    from edgesft.measure.bench.bench import bench
    from edgesft.progress import Progress
    from edgesft.report import bench as report

    models, settings = measure_options.split(options.words)
    if not models:
        raise InputError("model must be an ONNX or ORT file, got none", "edgesft bench model.onnx")
    order = replace(
        measure_options.order(options, models, settings), reference=options.reference, explain=options.explain
    )
    _check(options, order)
    progress = Progress(quiet=options.quiet)
    with measure_options.connected(order):
        if options.aa:
            return _noise(order, progress, options.format)
        rows = bench(replace(order, variants=_variants(options, order, progress)), progress)
    found = report.to_json(rows, order.profile)
    _print(found, report.tables(found), options.format)
    return UNAVAILABLE if any(row.problem for row in rows) else EXIT_CODES[found["verdict"]]


def _check(options: argparse.Namespace, order: Order) -> None:
    """Refuses what would silently have no effect."""
    problems = []
    if options.aa:
        given = [name for name in ("precision", "calibration", "reference", "explain") if getattr(options, name)]
        problems += [
            Problem(f"--{name} must be left out with --aa, which only times the file as it is") for name in given
        ]
    if options.precision and order.end_to_end:
        scenario = order.profile.measure.scenario
        message = f"--precision must go with a scenario of requests, which set ranges and shapes, got {scenario}"
        problems.append(Problem(message, "convert the model first, or --scenario single-stream"))
    if options.calibration and "int8" not in (options.precision or ()):
        problems.append(Problem("--calibration must go with --precision int8, whose ranges it sets"))
    if problems:
        raise InputError(problems)


def _variants(options: argparse.Namespace, order: Order, progress: Progress) -> Variants | None:
    """What makes the providers' variants; None where each takes the file as it is."""
    from edgesft.measure.bench import prepare
    from edgesft.measure.providers import takes_fixed
    from edgesft.stages.variants import Variants
    from edgesft.store.store import Store

    fixed = any(map(takes_fixed, order.providers))
    if not (options.precision or fixed) or order.end_to_end:
        return None
    rows = prepare.calibration(order, options.calibration) if options.calibration else ()
    return Variants(Store(), options.precision or (), calibration=rows, say=progress.say)


def _noise(order: Order, progress: Progress, form: str) -> int:
    from edgesft.measure.bench.noise import noise
    from edgesft.report import noise as report

    found = report.to_json(noise(order, progress))
    _print(found, report.tables(found), form)
    return 0


def _print(found: Mapping[str, Any], tables: RenderableType, form: str) -> None:
    if form == "json":
        print(json.dumps(found, indent=1))
        return
    from rich.console import Console

    from edgesft.report.table import WIDTH

    Console(width=None if sys.stdout.isatty() else WIDTH).print(tables)
