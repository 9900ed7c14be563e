"""`edgesft validate FILE… [a.b=c …]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesft.errors import Problem

    Placed = tuple[str, Problem]
    """The file that was checked, and what is to be said of it."""

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
    problems: list[Placed] = []
    warnings: list[Placed] = []
    lacking: list[tuple[str, UnavailableError]] = []
    for file in files:
        try:
            valid, warned = _valid(file, settings, alone=options.schema_only)
        except InputError as error:
            problems += [(str(file), problem) for problem in error.problems]
        except UnavailableError as error:
            lacking.append((str(file), error))
        else:
            warnings += [(str(file), Problem(warning)) for warning in warned]
            if options.format == "text":
                print("\n".join([*(f"warning: {file}: {warning}" for warning in warned), valid]))
    if options.format != "text":
        _print(problems, warnings, [(file, error.problem) for file, error in lacking], options.format)
    elif problems:
        raise InputError([problem for _, problem in problems])
    if problems:
        return InputError.exit_code
    # What this environment lacks is said only where nothing is wrong with what the user gave.
    if lacking:
        raise lacking[0][1]
    return 0


def _valid(file: Path, settings: Sequence[str], *, alone: bool) -> tuple[str, Sequence[str]]:
    """What a valid file is, and what to warn of.

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
        return f"{file}: valid devices ({', '.join(devices)})", ()
    return f"{file}: valid profile '{load.validate(read, ProfileSpec).name}'", ()


def _recipe(file: Path, settings: Sequence[str], *, alone: bool) -> tuple[str, Sequence[str]]:
    from edgesft.pipeline.check import check, look

    if alone:
        recipe, profiles = look(file, settings)
        warnings: Sequence[str] = ()
    else:
        checked = check(file, settings)
        recipe, profiles, warnings = checked.recipe, checked.profiles, checked.warnings
    names = ", ".join(profile.name for profile in profiles)
    return f"{file}: valid recipe ({len(recipe.stages)} stages, profile {names})", warnings


def _budget(file: Path, settings: Sequence[str]) -> tuple[str, Sequence[str]]:
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
    return valid, () if limits else ("the budget has no limits of its own: only growth over a baseline can fail",)


def _print(problems: Sequence[Placed], warnings: Sequence[Placed], missing: Sequence[Placed], form: str) -> None:
    from edgesft.report import problems as report

    found, warned, lacks = report.rows(problems), report.rows(warnings), report.rows(missing)
    if form == "github":
        lines = [*report.github([*found, *lacks]), *report.github(warned, "warning")]
        print("\n".join(lines))
        return
    whole = report.document(found, warned, lacks) if form == "json" else report.sarif(found, warned, lacks)
    print(json.dumps(whole, indent=1))
