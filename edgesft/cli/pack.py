"""`edgesft pack RUN`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.errors import InputError

if TYPE_CHECKING:
    from edgesft.measure.devices import Device
    from edgesft.ship.pack import Order
    from edgesft.ship.sign import Signer

VARIANTS = ("model", "static", "ort", "context", "fp32")
"""As `ship.models.KINDS` has them, which is not imported for a command line's help."""

SIGNING = ("run", "output", "replace", "sign", "certificate", "chain", "format", "quiet")
"""Options that say something where a bundle is only signed."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder; with --sign also a bundle")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="folder or .zip to write (default: RUN-bundle.zip; of a bundle to sign: itself)",
    )
    parser.add_argument("--replace", action="store_true", help="replace an existing bundle")
    parser.add_argument("--name", help="name of the bundle (default: the run's)")
    parser.add_argument(
        "--version",
        type=int,
        metavar="N",
        help="version of the bundle; later ones must be higher (default: 1)",
    )
    parser.add_argument(
        "--variant",
        action="append",
        choices=VARIANTS,
        help="variant to include; may be repeated (default: all except fp32, the float reference)",
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="also include a model that takes a raw text or picture and returns label and score",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=5,
        metavar="N",
        help="number of golden rows: inputs with recorded outputs (default: 5)",
    )
    parser.add_argument("--inputs", type=Path, metavar="NPZ", help="golden inputs, instead of rows of the run's data")
    parser.add_argument(
        "--licence",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="file with the licence of the model or data; may be repeated",
    )
    parser.add_argument(
        "--device",
        metavar="D",
        help="interpreter that compiles ahead of time, or a name of --devices (default: this one)",
    )
    parser.add_argument("--devices", type=Path, metavar="FILE", help="devices file (default: devices.yaml here)")
    parser.add_argument(
        "--chip",
        action="append",
        default=[],
        metavar="C",
        help="chip to compile for, instead of the profile's; may be repeated",
    )
    parser.add_argument(
        "--min-runtime", default="1.23", metavar="V", help="oldest ONNX Runtime on the devices (default: 1.23)"
    )
    parser.add_argument(
        "--sign", type=Path, metavar="KEY", help="private key to sign with (PEM; its password in EDGESFT_KEY_PASSWORD)"
    )
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE", help="certificate of that key (PEM); verifiers trust its root"
    )
    parser.add_argument(
        "--chain",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="certificates between it and the root (PEM)",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def main(options: argparse.Namespace) -> int:
    """Makes the bundle and says what is in it."""
    from edgesft.cli.measure_options import device
    from edgesft.progress import Progress
    from edgesft.ship import seal
    from edgesft.ship.pack import pack

    if (signer := _signer(options)) and seal.is_bundle(options.run):
        return _endorse(options, signer)
    progress = Progress(quiet=options.quiet)
    with device(options) as place:
        packed = pack(_order(options, place, signer), progress)
    for warning in packed.warnings:
        progress.say(f"warning: {warning}")
    variants = packed.manifest.variants
    if options.format == "json":
        told = {
            "bundle": str(packed.path),
            "name": packed.manifest.name,
            "version": packed.manifest.version,
            "size_bytes": packed.size_bytes,
            "files": len(packed.manifest.files),
            "variants": [variant.to_json() for variant in variants],
            "raw": packed.raw and {"variant": packed.raw.variant.to_json(), "proof": packed.raw.proof},
            "left_out": dict(packed.left_out),
        }
        print(json.dumps(told, indent=1))
        return 0
    print(f"{packed.path}: {packed.manifest.name} {packed.manifest.version}, {packed.size_bytes / 1e6:.2f} MB")
    for variant in variants:
        print(f"  {variant.name:24} {variant.form:8} {variant.file}")
    if packed.raw:
        print(f"  {packed.raw.variant.name:24} {packed.raw.variant.form:8} {packed.raw.variant.file}")
        print(f"    {packed.raw.told()}")
    for kind, reason in packed.left_out.items():
        print(f"  no {kind}: {reason}")
    return 0


def _endorse(options: argparse.Namespace, signer: Signer) -> int:
    """Signs a bundle that is there, and says so."""
    from edgesft.ship import seal

    usual = argparse.ArgumentParser()
    arguments(usual)
    given = vars(options)
    for name, value in vars(usual.parse_args(["--", str(options.run)])).items():
        if name not in SIGNING and given[name] != value:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} must be given when a run is packed, got it for a bundle that is only signed")
    manifest = seal.endorse(options.run, signer, options.output, replace=options.replace)
    place = options.output or options.run
    if options.format == "json":
        print(json.dumps({"bundle": str(place), "name": manifest.name, "version": manifest.version, "signed": True}))
    else:
        print(f"{place}: {manifest.name} {manifest.version}, signed")
    return 0


def _order(options: argparse.Namespace, place: Device, signer: Signer | None) -> Order:
    from edgesft.ship import models
    from edgesft.ship.pack import Order

    return Order(
        run=options.run,
        output=options.output,
        name=options.name,
        version=1 if options.version is None else options.version,
        variants=tuple(dict.fromkeys(["model", *(options.variant or models.USUAL)])),
        rows=options.rows,
        inputs=options.inputs,
        licences=options.licence,
        runtime=options.min_runtime,
        signer=signer,
        device=place,
        chips=tuple(dict.fromkeys(options.chip)),
        replace=options.replace,
        raw=options.raw,
    )


def _signer(options: argparse.Namespace) -> Signer | None:
    from edgesft.ship.sign import Signer

    if options.sign is None:
        if options.certificate or options.chain:
            raise InputError("--certificate must come with its private key, got none", "--sign KEY")
        return None
    return Signer(options.sign, options.certificate, options.chain)
