"""`edgesft baseline update CHECK.json …`, `edgesft baseline show FILE`, `edgesft baseline accept LINE`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.errors import InputError, Problem

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgesft.gate.baseline import Acceptance, Baseline


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    update = _action(actions, "update", "add or replace entries with the figures of checks")
    update.add_argument(
        "words", nargs="+", metavar="CHECK.json", help="file written by `edgesft check --also json=CHECK.json`"
    )
    _file(update, "baseline file; created if it does not exist")
    update.add_argument("--model", metavar="NAME", help="store them under this name instead of the model's own")
    update.add_argument("--prune", action="store_true", help="drop the same entries for other versions of onnxruntime")
    update.add_argument("--force", action="store_true", help="also take figures of checks that failed")
    update.add_argument("--dry-run", action="store_true", help="only print what would change")
    show = _action(actions, "show", "print the entries and the accepted failures, and which of these have expired")
    show.add_argument("file", type=Path, metavar="FILE", help="baseline file")
    show.add_argument("--format", choices=("table", "json"), default="table", help="what to print (default: table)")
    accept = _action(actions, "accept", "accept a line's failure until a given date")
    accept.add_argument("line", metavar="LINE", help="for example max_growth.size")
    _file(accept, "baseline file")
    accept.add_argument("--model", required=True, metavar="NAME", help="name of the model")
    accept.add_argument("--profile", metavar="NAME", help="device profile (default: all)")
    accept.add_argument(
        "--up-to", required=True, metavar="SHARE", help="largest growth to accept: 0.05 is 5 %%; more still fails"
    )
    accept.add_argument("--reason", required=True, metavar="TEXT", help="the reason, for later readers")
    accept.add_argument("--until", required=True, metavar="DATE", help="last day of the acceptance, in UTC: 2030-12-31")


def main(options: argparse.Namespace) -> int:
    """Updates, shows or accepts; 0 where that was possible."""
    today = datetime.now(UTC).date()
    return {"update": _update, "show": _show, "accept": _accept}[options.action](options, today)


def _action(actions: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    return parser


def _file(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--baseline", type=Path, required=True, metavar="FILE", help=text)


def _update(options: argparse.Namespace, today: date) -> int:
    from edgesft.cli.output import write
    from edgesft.gate.update import entries, update
    from edgesft.report.baseline import changes, expired

    file: Path = options.baseline
    problems: list[Problem] = []
    base, new = None, None
    try:
        base = _held(file)
    except InputError as error:
        problems += error.problems
    try:
        if options.model is not None and not options.model.strip():
            problems.append(Problem("--model must be a name, got none"))
        new = entries([Path(word) for word in options.words], model=options.model, force=options.force)
    except InputError as error:
        problems += error.problems
    if problems or base is None or new is None:
        raise InputError(problems)
    found = update(base, new, prune=options.prune)
    _print(changes(found))
    count = f"{len(found.baseline.entries)} {'entry' if len(found.baseline.entries) == 1 else 'entries'}"
    if base.entries and base.to_json() == found.baseline.to_json():
        # A file that somebody's formatter laid out in another way is left so, too.
        print(f"'{file}' is unchanged")
    elif options.dry_run:
        print(f"'{file}' would have {count}; nothing was written")
    else:
        write(file, found.baseline.text())
        print(f"'{file}' has {count}")
    _warn(expired(found.baseline, today))
    return 0


def _show(options: argparse.Namespace, today: date) -> int:
    from edgesft.gate.baseline import Baseline
    from edgesft.report.baseline import expired, tables

    base = Baseline.read(options.file)
    if options.format == "json":
        sys.stdout.write(base.text())
    else:
        _print(tables(base, today))
    _warn(expired(base, today))
    return 0


def _accept(options: argparse.Namespace, today: date) -> int:
    from edgesft.cli.output import write
    from edgesft.gate.baseline import Baseline

    accepted, problems = _acceptance(options, today)
    try:
        base = Baseline.read(options.baseline)
        problems += _strangers(base, options)
    except InputError as error:
        problems += error.problems
    if problems or accepted is None:
        raise InputError(problems)
    others = tuple(each for each in base.accepted if each.subject != accepted.subject)
    write(options.baseline, replace(base, accepted=(*others, accepted)).text())
    told = f"of {accepted.model} up to {accepted.up_to:g} until {accepted.until}"
    instead = ", in place of an earlier acceptance" if len(others) < len(base.accepted) else ""
    print(f"'{options.baseline}' accepts {accepted.line} {told}{instead}")
    return 0


def _held(file: Path) -> Baseline:
    """The baseline that is there, or one without entries."""
    from edgesft.gate.baseline import Baseline

    try:
        there, folder = file.exists(), file.resolve().parent.is_dir()
    except (OSError, RuntimeError) as error:
        raise InputError(f"--baseline must be the name of a file, got '{file}': {error}") from None
    if there:
        return Baseline.read(file)
    if not folder:
        raise InputError(f"--baseline must lie in a folder that exists, got '{file}'", f"make '{file.parent}' first")
    return Baseline(file)


def _acceptance(options: argparse.Namespace, today: date) -> tuple[Acceptance | None, list[Problem]]:
    """What the command line accepts, or everything that is wrong with it."""
    from edgesft.gate.baseline import LINES, Acceptance, hint

    problems = []
    if options.line not in LINES:
        problems.append(Problem(f"LINE must be a line of growth, got {options.line!r}", hint(options.line)))
    if (up_to := _share(options.up_to)) is None:
        problems.append(Problem(f"--up-to must be a share above 0, got {options.up_to!r}", "0.05 for 5 %"))
    if not options.reason.strip():
        problems.append(Problem("--reason must be a text, got none", '--reason "the new head is worth it"'))
    if (until := _day(options.until)) is None:
        problems.append(Problem(f"--until must be a date, got {options.until!r}", "--until 2030-12-31"))
    elif until < today:
        problems.append(Problem(f"--until must be today ({today}, by UTC) or later, got {until}"))
    if problems or up_to is None or until is None:
        return None, problems
    accepted = Acceptance(
        line=options.line,
        model=options.model,
        profile=options.profile,
        up_to=up_to,
        reason=options.reason.strip(),
        until=until,
    )
    return accepted, []


def _strangers(base: Baseline, options: argparse.Namespace) -> list[Problem]:
    """What is accepted must be of a model and a profile that the baseline has."""
    from edgesft.spec.problems import nearest

    try:
        entries = base.of(options.model)
    except InputError as error:
        return list(error.problems)
    profiles = {entry.key.profile for entry in entries}
    if options.profile is None or options.profile in profiles:
        return []
    got = f"--profile must be one that '{base.path}' has for '{options.model}', got '{options.profile}'"
    return [Problem(got, nearest(options.profile, profiles))]


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _warn(lines: list[str]) -> None:
    for line in lines:
        print(f"edgesft baseline: {line}", file=sys.stderr)


def _print(tables: RenderableType) -> None:
    from rich.console import Console

    from edgesft.report.table import WIDTH

    if sys.stdout.isatty():
        Console().print(tables)
        return
    console = Console(width=WIDTH, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(tables)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
