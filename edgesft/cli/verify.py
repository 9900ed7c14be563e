"""`edgesft verify BUNDLE`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgesft.errors import InputError

FAILED = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder or archive that `edgesft pack` made")
    parser.add_argument("--key", type=Path, metavar="FILE", help="public key that must have signed it (PEM)")
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="certificate that the signer's must go back to (PEM); may be repeated",
    )
    parser.add_argument("--at-least", type=int, default=1, metavar="N", help="lowest version of the bundle")
    parser.add_argument("--no-golden", action="store_true", help="do not run the golden rows: needs no onnxruntime")
    parser.add_argument("--provider", default="CPUExecutionProvider", help="that runs the golden rows")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Verifies the bundle, prints everything that is wrong, and answers 1 where something is."""
    from edgesft.ship.sign import Trust
    from edgesft.ship.verify import verify

    if options.key and options.root:
        raise InputError("signer must be one: --key, or the --root of its certificate; got both")
    trust = Trust(options.key, options.root) if options.key or options.root else None
    report = verify(
        options.bundle,
        trust=trust,
        rows=not options.no_golden,
        provider=_provider(options.provider),
        at_least=options.at_least,
    )
    if options.format == "json":
        print(json.dumps(report.to_json(), indent=1))
        return 0 if report.holds else FAILED
    for check, result in report.checks.items():
        print(f"{check:10} {result}")
    for finding in report.findings:
        print(finding)
    told = f"{report.manifest.name} {report.manifest.version}" if report.manifest else str(options.bundle)
    print(f"{told}: {'holds' if report.holds else 'refused'}")
    return 0 if report.holds else FAILED


def _provider(name: str) -> str:
    """The provider that a person means, by ONNX Runtime's name or a short one such as `cpu`."""
    if name.endswith("ExecutionProvider"):
        return name
    from edgesft.measure.providers import PROVIDERS

    known = {provider.short: provider.name for provider in PROVIDERS.values()}
    if name.lower() not in known:
        raise InputError(f"--provider must be one of {', '.join(known)}, got '{name}'")
    return known[name.lower()]
