"""`edgesft check ARTEFACT --budget FILE [a.b=c …]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgesft.cli import measure_options, output
from edgesft.errors import InputError

BUDGET = "budget"
"""Where `bench` has its limits: in the profile."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="ARTEFACT|a.b=c",
        help="ONNX or ORT file, or a run's folder; and values that override the budget's or the profile's",
    )
    parser.add_argument("--budget", type=Path, required=True, metavar="FILE", help="file with the limits")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="file with earlier figures to compare with")
    parser.add_argument(
        "--measurements",
        type=Path,
        metavar="FILE",
        help="measurements that an agent wrote on a device, instead of measuring here",
    )
    parser.add_argument("--rows", type=Path, metavar="FILE", help="labelled rows for the metrics")
    measure_options.arguments(parser, None)
    output.arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Holds the artefact against the limits and answers with the verdict's exit code."""
    from edgesft.gate.artefact import artefact
    from edgesft.gate.check import Asked, check
    from edgesft.progress import Progress
    from edgesft.spec import load
    from edgesft.spec.gate import GateSpec

    output.check(options)
    paths, settings = measure_options.split(options.words)
    if len(paths) != 1:
        got = ", ".join(map(str, paths)) or "none"
        raise InputError(f"artefact must be one file or folder, got {got}", "edgesft check model.onnx --budget FILE")
    limits = [word for word in settings if _first(word) in GateSpec.model_fields]
    if wrong := [word for word in settings if _first(word) == BUDGET]:
        # The profile's own budget, which a check never looks at.
        right = [word.removeprefix(f"{BUDGET}.") for word in wrong if word.startswith(f"{BUDGET}.")]
        message = f"limits of a check must stand without '{BUDGET}.', got {', '.join(wrong)}"
        raise InputError(message, ", ".join(right) or "latency_ms.p95=5")
    spec, document = load.gate(options.budget, limits)
    # A profile's file is named as it lies beside the budget that names it.
    folder = Path() if options.profile else options.budget.parent
    options.profile = options.profile or spec.profile or "this-machine"
    rest = [word for word in settings if word not in limits]
    order = measure_options.order(options, [artefact(paths[0]).model], rest, folder)
    if len(order.providers) != 1:
        got = ", ".join(provider.name for provider in order.providers)
        raise InputError(f"--provider must be one for a check, got {got}", "a check for each provider")
    asked = Asked(paths[0], spec, document, options.baseline, options.measurements, options.rows)
    return output.emit(check(asked, order, Progress(quiet=options.quiet)).to_json(), options)


def _first(word: str) -> str:
    """`latency_ms` of `latency_ms.p95=5`."""
    return word.partition("=")[0].partition(".")[0]
