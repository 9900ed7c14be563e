"""`edgesft validate FILE… [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesft.errors import Problem

FORMATS = ("text", "json", "sarif", "github")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE|a.b=c",
        help="recipes, device profiles, budgets or devices files; and, for a single file, values that override its own",
    )
    parser.add_argument(
        "--schema-only", action="store_true", help="check only the files themselves; data and model need not exist"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="what to print (default: text)")


def main(options: argparse.Namespace) -> int:
    """Checks every file and tells all problems of all of them; torch and onnxruntime stay out."""
    from edgesft.cli.measure_options import split
    from edgesft.errors import InputError, Problem, UnavailableError

    files, settings = split(options.words)
    if not files or (settings and len(files) > 1):
        got = ", ".join(map(str, files)) or "none"
        wanted = "a single file if values override its own" if settings else "at least one"
        raise InputError(f"file must be {wanted}, got {got}", "edgesft validate recipe.yaml seed=1")
    told, problems, lacking = list[str](), list[tuple[str, Problem]](), list[UnavailableError]()
    for file in files:
        try:
            told += _valid(file, settings, alone=options.schema_only)
        except InputError as error:
            problems += [(str(file), problem) for problem in error.problems]
        except UnavailableError as error:
            lacking.append(error)
    if options.format == "text":
        for line in told:
            print(line)
        if problems:
            raise InputError([problem for _, problem in problems])
    else:
        _print(problems, options.format)
    if problems:
        return InputError.exit_code
    # What this environment lacks is said only where nothing is wrong with what the user gave.
    if lacking:
        raise lacking[0]
    return 0


def _valid(file: Path, settings: Sequence[str], *, alone: bool) -> list[str]:
    """What is to be told of a file that is valid.

    Raises:
        InputError: It is not; every problem found.
    """
    from edgesft.spec import document, load
    from edgesft.spec.devices import DevicesSpec
    from edgesft.spec.overrides import override
    from edgesft.spec.profile import ProfileSpec

    read = document.read(file)
    kind = load.kind(read)
    if kind == "recipe":
        return _recipe(file, settings, alone=alone)
    if kind == "budget":
        return _budget(file, settings)
    override(read, settings)
    if kind == "devices":
        devices = load.validate(read, DevicesSpec).devices
        return [f"{file}: valid devices ({', '.join(devices)})"]
    return [f"{file}: valid profile '{load.validate(read, ProfileSpec).name}'"]


def _recipe(file: Path, settings: Sequence[str], *, alone: bool) -> list[str]:
    from edgesft.pipeline.check import check, look

    if alone:
        recipe, profiles = look(file, settings)
        warnings: Sequence[str] = ()
    else:
        checked = check(file, settings)
        recipe, profiles, warnings = checked.recipe, checked.profiles, checked.warnings
    names = ", ".join(profile.name for profile in profiles)
    valid = f"{file}: valid recipe ({len(recipe.stages)} stages, profile {names})"
    return [*(f"warning: {file}: {warning}" for warning in warnings), valid]


def _budget(file: Path, settings: Sequence[str]) -> list[str]:
    from edgesft.errors import InputError, Problem
    from edgesft.spec import load
    from edgesft.spec.budget import BudgetSpec

    spec, read = load.gate(file, settings)
    if spec.profile:
        try:
            load.profile(spec.profile, file.parent)
        except InputError as error:
            where = read.where(("profile",))
            raise InputError(
                [Problem(each.message, each.hint, each.where or where) for each in error.problems]
            ) from None
    limits = len(spec.model_dump(include=set(BudgetSpec.model_fields), exclude_defaults=True))
    valid = f"{file}: valid budget ({limits} limit{'s' * (limits != 1)})"
    warning = f"warning: {file}: the budget has no limits of its own: only growth over a baseline can fail"
    return [valid] if limits else [warning, valid]


def _print(problems: Sequence[tuple[str, Problem]], form: str) -> None:
    from edgesft.report import problems as report

    found = report.rows(problems)
    if form == "github":
        print("\n".join(report.github(found)))
        return
    whole = {"verdict": "fail" if found else "pass", "problems": found} if form == "json" else report.sarif(found)
    print(json.dumps(whole, indent=1))
