"""`edgesft compare CANDIDATE BASELINE [a.b=c …]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgesft.cli import measure_options, output
from edgesft.errors import InputError

FIGURES = ("p50", "p90", "p95", "p99", "load", "first_inference", "peak_memory", "size")
"""As `gate.compare.FIGURES` has them, which is not imported for a command line's help."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="CANDIDATE BASELINE|a.b=c",
        help="ONNX or ORT files, or folders of runs; and values that override the profile's (not its budget)",
    )
    parser.add_argument(
        "--min-effect", type=float, default=0.05, metavar="X", help="smallest slowdown to detect (default: 0.05)"
    )
    parser.add_argument(
        "--figure",
        action="append",
        choices=FIGURES,
        metavar="X",
        help=f"figure that decides: {', '.join(FIGURES)}; may be repeated (default: p50); the others are only shown",
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="longest time to measure (default: 60)"
    )
    parser.add_argument("--rows", type=Path, metavar="FILE", help="labelled rows for the accuracy (default: the run's)")
    parser.add_argument(
        "--max-drop", type=float, default=0.01, metavar="X", help="largest drop in accuracy to allow (default: 0.01)"
    )
    measure_options.arguments(parser, "this-machine")
    output.arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Measures both, prints what was found, and answers with the verdict's exit code."""
    from edgesft.gate.compare import Asked, check_settings, compare
    from edgesft.progress import Progress

    output.check(options)
    paths, settings = measure_options.split(options.words)
    if len(paths) != 2:
        got = ", ".join(map(str, paths)) or "none"
        raise InputError(f"models must be a candidate and a baseline, got {got}", "edgesft compare new.onnx old.onnx")
    check_settings(settings)
    figures = tuple(dict.fromkeys(options.figure or ["p50"]))
    asked = Asked(paths[0], paths[1], figures, options.min_effect, options.seconds, options.rows, options.max_drop)
    order = measure_options.order(options, paths, settings)
    return output.emit(compare(asked, order, Progress(quiet=options.quiet)).to_json(), options)
