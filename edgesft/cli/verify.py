"""`edgesft verify BUNDLE`."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.errors import InputError

if TYPE_CHECKING:
    from edgesft.ship.session import Place

FAILED = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder or archive written by `edgesft pack`")
    parser.add_argument("--key", type=Path, metavar="FILE", help="public key of the signer (PEM)")
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="root certificate to trust for the signer's (PEM); may be repeated",
    )
    parser.add_argument(
        "--at-least", type=int, default=1, metavar="N", help="oldest version of the bundle to accept (default: 1)"
    )
    parser.add_argument(
        "--no-golden", action="store_true", help="do not run the golden rows; then onnxruntime is not needed"
    )
    parser.add_argument(
        "--provider",
        metavar="P",
        help="execution provider for the golden rows, such as qnn:soc_model=57 (default: CPU)",
    )
    parser.add_argument(
        "--device",
        metavar="D",
        help="where to run them: an interpreter, ssh://…, or a name of --devices (default: here)",
    )
    parser.add_argument("--devices", type=Path, metavar="FILE", help="devices file (default: devices.yaml here)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Verifies the bundle, prints everything that is wrong, and answers 1 where something is."""
    from edgesft.ship.sign import Trust
    from edgesft.ship.verify import verify

    if options.key and options.root:
        raise InputError("signer must be given by --key or by --root, got both")
    trust = Trust(options.key, options.root) if options.key or options.root else None
    with ExitStack() as stack:
        place = _place(options, stack)
        report = verify(options.bundle, trust=trust, rows=not options.no_golden, place=place, at_least=options.at_least)
    if options.format == "json":
        print(json.dumps(report.to_json(), indent=1))
        return 0 if report.holds else FAILED
    for check, result in report.checks.items():
        print(f"{check:10} {result}")
    for name, reason in report.not_run.items():
        print(f"not run    {name}: {reason}")
    for finding in report.findings:
        print(finding)
    told = f"{report.manifest.name} {report.manifest.version}" if report.manifest else str(options.bundle)
    print(f"{told}: {'holds' if report.holds else 'refused'}")
    return 0 if report.holds else FAILED


def _place(options: argparse.Namespace, stack: ExitStack) -> Place | None:
    """Where the golden rows are run; None for the CPU provider here, for which nothing else is imported."""
    if options.no_golden or not (options.provider or options.device):
        return None
    from edgesft.cli.measure_options import device, provider
    from edgesft.ship.session import CPU, Place

    spec = provider(options.provider or CPU, {})
    return Place(spec.name, spec.options, stack.enter_context(device(options)) if options.device else None)
