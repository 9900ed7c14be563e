"""`edgesft init FILE --data …`, `edgesft init RECIPE [FILE]` and `edgesft init --ci github|gitlab`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.cli import numbers
from edgesft.cli.new_files import require_new, write

if TYPE_CHECKING:
    from edgesft.errors import Problem

BUDGETS = ("budget.yaml", "budget-device.yaml")
"""What stays as it is where it is there already: limits that somebody has set."""

GITHUB = Path(".github/workflows/edgesft.yml")
GITLAB = Path(".gitlab-ci.yml")
INCLUDED = Path("edgesft.gitlab-ci.yml")
"""Written where there is a pipeline already, which includes it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "recipe",
        nargs="?",
        metavar="FILE|RECIPE",
        help="file to write (.yaml), or a built-in recipe to copy (default: text-classification)",
    )
    parser.add_argument("file", nargs="?", type=Path, help="where to copy it (default: <recipe>.yaml)")
    own = parser.add_argument_group(
        "a recipe for your own data", "On a terminal, `edgesft init` without --data asks for these."
    )
    own.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="PATH",
        help="labelled rows: file, folder, zip or hub://…; HEAD=PATH, repeated, for one model with several heads",
    )
    own.add_argument("--model", help="folder, hub id, pkg://…, your own module:function, or an ONNX file")
    own.add_argument("--task", help="task (default: recognised from the data)")
    own.add_argument(
        "--validation",
        type=numbers.share_or_file,
        metavar="PATH",
        help="validation rows, or a share of --data (default: 0.1)",
    )
    own.add_argument("--test", type=numbers.share_or_file, metavar="PATH", help="test rows, or a share of --data")
    own.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="name of the column for a role; may be repeated",
    )
    own.add_argument("--profile", help="device profile, see `edgesft profiles` (default: one thread of this machine)")
    own.add_argument("--latency-ms", type=numbers.positive, metavar="MS", help="budget: limit for the p95 latency")
    own.add_argument(
        "--latency-ratio",
        type=numbers.positive,
        metavar="X",
        help="budget: median latency, as a share of the fine-tuned original's",
    )
    own.add_argument(
        "--size-mb",
        type=numbers.positive,
        metavar="MB",
        help="budget: size of all files that the device loads (10^6 bytes)",
    )
    own.add_argument(
        "--max-drop", type=numbers.allowance, metavar="X", help="budget: allowed drop of the metric; 0.01 is one point"
    )
    own.add_argument(
        "--unchecked", action="store_true", help="write the recipe even if it is not valid yet, to complete it by hand"
    )
    parser.add_argument(
        "--ci",
        choices=("github", "gitlab"),
        help="write a CI pipeline and its budget files instead of a recipe",
    )
    parser.add_argument("--folder", type=Path, default=Path(), help="folder to write to (default: the current one)")


def main(options: argparse.Namespace) -> int:
    """Writes commented files to start from; what exists is never overwritten."""
    from edgesft.cli import drafting
    from edgesft.errors import InputError

    if not options.folder.is_dir():
        raise InputError(f"the folder '{options.folder}' must exist", "make it first, or name another")
    if options.ci is not None:
        if options.recipe is not None:
            message = f"--ci writes a pipeline and budgets, and must have no recipe beside it. Got {options.recipe!r}"
            raise InputError(message, f"edgesft init {options.recipe}, and edgesft init --ci {options.ci} after it")
        return _pipeline(options.ci, options.folder)
    if drafting.wanted(options):
        return drafting.main(options)
    return _recipe(options.recipe or "text-classification", options.file, options.folder)


def _recipe(name: str, file: Path | None, folder: Path) -> int:
    from edgesft.errors import InputError
    from edgesft.spec import load
    from edgesft.spec.problems import nearest

    known = load.shipped("recipes")
    if name not in known:
        raise InputError(f"'recipe' must be a built-in recipe. Got {name!r}", nearest(name, known))
    target = folder / (file or f"{name}.yaml")
    require_new(target)
    write({target: known[name].read_text("utf-8")})
    print(f"wrote {target}; edit its data and budget, then: edgesft run {target}")
    return 0


def _pipeline(ci: str, folder: Path) -> int:
    """The pipeline's file and the budgets that it names; problems of all of them are told before any is written."""
    from edgesft import resources
    from edgesft.errors import InputError

    include = ci == "gitlab" and os.path.lexists(folder / GITLAB)
    place = GITHUB if ci == "github" else INCLUDED if include else GITLAB
    templates = resources.folder("export") / "ci"
    sources = {place: templates / f"{ci}.yml", **{Path(name): templates / name for name in BUDGETS}}
    kept = [name for name in BUDGETS if (folder / name).is_file()]
    wanted = {folder / name: source for name, source in sources.items() if str(name) not in kept}
    if problems := [problem for target in wanted for problem in _obstacles(target, folder)]:
        raise InputError(problems)
    write({target: source.read_text("utf-8") for target, source in wanted.items()})
    for target in wanted:
        print(f"wrote {target}")
    for name in kept:
        print(f"kept the existing {folder / name}")
    print(_next(folder, include=include))
    return 0


def _obstacles(target: Path, folder: Path) -> list[Problem]:
    """What keeps a file from being made: one of its name, dangling links included, or a file where a folder must be."""
    from edgesft.errors import Problem

    if os.path.lexists(target):
        return [Problem(f"'{target}' must not exist yet", "delete or rename it first; nothing was written")]
    above = [place for place in target.parents if place.is_relative_to(folder)]
    return [
        Problem(f"'{place}' must be a folder for '{target}' to lie in", "delete or rename it first")
        for place in above
        if os.path.lexists(place) and not place.is_dir()
    ]


def _next(folder: Path, *, include: bool) -> str:
    budget, baseline = folder / BUDGETS[0], folder / "baseline.json"
    told = ["", "Edit the lines marked EDIT. Then create the baseline, and commit it with these files:", ""]
    told += [f"  edgesft validate {' '.join(str(folder / name) for name in BUDGETS)}"]
    told += [f"  edgesft check model.onnx --budget {budget} --profile ci --also json=check.json"]
    told += [f"  edgesft baseline update check.json --baseline {baseline}"]
    if include:
        told += ["", f"{folder / GITLAB} stays as it is; add to it:", "", "  include:", f"    - local: {INCLUDED}"]
    return "\n".join(told)
