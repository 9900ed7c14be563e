"""`edgesft tune MODEL [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.cli import measure_options, new_files, numbers
from edgesft.errors import InputError

if TYPE_CHECKING:
    from edgesft.measure.bench.tuning import Tuning


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
    from edgesft.spec.profile import MOST_THREADS

    models, settings = measure_options.split(options.words)
    if not models:
        raise InputError("model must be an ONNX or ORT file, got none", "edgesft tune model.onnx")
    if options.threads is not None and not 1 <= options.threads <= MOST_THREADS:
        raise InputError(f"--threads must be 1 to {MOST_THREADS}, got {options.threads}", "--threads 4")
    _check_targets(options.write, options.optimised)
    order = measure_options.order(options, models, settings)
    with measure_options.connected(order):
        tuned = tune(order, Progress(quiet=options.quiet), threads=options.threads, optimised=options.optimised)
    try:
        _print(report.to_json(tuned), options.format)
    finally:  # Neither a closed pipe nor a full disk loses both.
        if options.write:
            new_files.write({options.write: _text(tuned, options.write.stem)})
    return 0


def _check_targets(profile: Path | None, optimised: Path | None) -> None:
    """Refuses, before anything is measured, files that could not be written or not be read back."""
    from edgesft.spec import load
    from edgesft.spec.profile import NAME
    from edgesft.store.disk import require_writable

    if profile and not (load.is_file(profile.name) and re.fullmatch(NAME, profile.stem)):
        message = "--write must be a YAML file named as a profile: letters, digits, '.', '_' and '-'"
        raise InputError(f"{message}. Got '{profile}'", "--write board.yaml")
    if profile and profile == optimised:
        raise InputError(f"--write and --optimised must be two files, got '{profile}' for both")
    for file in filter(None, (profile, optimised)):
        new_files.require_new(file)
        require_writable(file.parent)


def _print(found: Mapping[str, Any], form: str) -> None:
    if form == "json":
        print(json.dumps(found, indent=1))
        return
    from rich.console import Console

    from edgesft.report import tuning as report
    from edgesft.report.table import WIDTH

    Console(width=None if sys.stdout.isatty() else WIDTH).print(report.tables(found))


def _text(tuned: Tuning, name: str) -> str:
    """The profile as a file, under that file's name; what it says of itself is of the tuned one."""
    import yaml

    from edgesft.measure.fingerprint import called

    held = tuned.profile.model_dump(mode="json", exclude_defaults=True)
    stale = set() if "budget" in held else {"budget"}
    if tuned.whole and tuned.whole.outcome == "kept":
        where = f"{called(tuned.machine) or 'its device'}, onnxruntime {tuned.runtime}"
        held["description"] = f"As {tuned.profile.name}, tuned for {tuned.file.path.name} on {where}."
        stale.add("threads")
    if assumed := {field: why for field, why in held.pop("assumed", {}).items() if field not in stale}:
        held["assumed"] = assumed
    return yaml.safe_dump({**held, "name": name}, sort_keys=False, allow_unicode=True)
