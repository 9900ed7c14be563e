"""What the gates' commands share: in which formats, and where, what was found is written, and the exit code."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesft.cli.run import EXIT_CODES
from edgesft.errors import EdgesftError, InputError, Problem, UnavailableError
from edgesft.store.disk import guarded, require_writable

FORMATS = ("table", "json", "junit", "sarif", "github", "markdown")
"""As `report.gate.FORMATS` has them, which is not imported for a command line's help."""

INCONCLUSIVE = {None: EXIT_CODES["inconclusive"], "warn": 0, "fail": 1}
"""`--on-inconclusive` → exit code of an inconclusive verdict."""

MODELS = (".onnx", ".ort")
"""What no report is called, but what a slip of the hand would overwrite."""

SUMMARY = "GITHUB_STEP_SUMMARY"
SUMMARY_BYTES = 1 << 20
"""What a step may write there in all; of more, GitHub shows nothing."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    parser.add_argument("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to write instead of printing")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help="also write this format to a file; may be repeated",
    )
    parser.add_argument(
        "--on-inconclusive",
        choices=("warn", "fail"),
        help="exit code of an inconclusive verdict: warn is 0, fail is 1 (default: 3)",
    )


def check(options: argparse.Namespace) -> None:
    """Checks that everything can be written where it is asked to go; call it before anything is measured.

    Raises:
        InputError: An unknown format, a place that cannot be a file, two outputs in one place, or one in place of what
            the command reads. Every problem is told.
        UnavailableError: A folder that cannot be written to.
    """
    outputs = [("--output", options.output)] if options.output else []
    outputs += [(f"--also {form}", file) for form, file in _also(options) if form in FORMATS]
    problems = [problem for word in options.also for problem in _word(word)]
    problems += _obstacles(outputs, _read(options), "edgesft.json")
    if problems:
        raise InputError(problems)
    for folder in {file.resolve().parent for _, file in outputs}:
        require_writable(folder)


def require(file: Path, read: Iterable[Path], example: str) -> None:
    """Checks that `--output` can be written; call it before anything is made for it.

    Args:
        file: The one that is asked for.
        read: Files of the run that must stay as they are.
        example: A name of such an output.

    Raises:
        InputError: It cannot be a file, or is one of those that are read.
        UnavailableError: Its folder cannot be written to.
    """
    if problems := _obstacles([("--output", file)], {each.resolve(): "the run" for each in read}, example):
        raise InputError(problems)
    require_writable(file.resolve().parent)


def emit(document: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Writes and prints what was found.

    Files first: whoever stops reading the table does not stop them. One that cannot be written keeps none of the others
    from being written, and what was found is printed all the same.

    Args:
        document: `GateDocument.to_json()`.
        options: What `arguments` declared.

    Returns:
        The verdict's exit code.

    Raises:
        UnavailableError: A file could not be written, although `check` found nothing against it.
    """
    from edgesft.report.gate import render

    files = _also(options) + ([(options.format, options.output)] if options.output else [])
    failed: list[EdgesftError] = []
    for form, file in files:
        try:
            write(file, render(document, form))
        except EdgesftError as error:
            failed.append(error)
    if options.format == "github":
        _summarise(document)
    if not options.output:
        _print(document, options.format)
    elif failed:
        _print(document, "table")
    else:
        found = f"verdict: {document['verdict']}, written to '{options.output}'"
        print(f"edgesft {options.command}: {found}", file=sys.stderr)
    if failed:
        raise failed[0]
    verdict: str = document["verdict"]
    return INCONCLUSIVE[options.on_inconclusive] if verdict == "inconclusive" else EXIT_CODES[verdict]


def write(file: Path, text: str) -> None:
    """Writes a file so that readers see all of it or what was there before; a link stays one.

    Raises:
        UnavailableError: It cannot be written.
    """
    target = file.resolve()
    try:
        with guarded(target.parent):
            _replace(target, text)
    except OSError as error:
        raise UnavailableError(f"'{file}' must be a file that can be written, got: {error}", "another place") from error


def _replace(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=".edgesft-", dir=target.parent)
    try:
        # Names of files may hold bytes that are no text.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as part:
            part.write(text)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _also(options: argparse.Namespace) -> list[tuple[str, Path]]:
    pairs = [word.partition("=") for word in options.also]
    return [(form, Path(file)) for form, _, file in pairs if file]


def _word(word: str) -> list[Problem]:
    form, _, file = word.partition("=")
    if form not in FORMATS:
        return [Problem(f"--also must begin with one of {', '.join(FORMATS)}, got {word!r}", "--also junit=junit.xml")]
    if not file:
        return [Problem(f"--also must be a format and a file, got {word!r}", f"--also {form}=FILE")]
    return []


def _obstacles(outputs: Sequence[tuple[str, Path]], read: Mapping[Path, str], example: str) -> list[Problem]:
    """What keeps outputs from being written where they are asked for, given what is read, and as what."""
    problems, taken = list[Problem](), dict[Path, str]()
    for name, file in outputs:
        if wrong := _place(name, file, example):
            problems.append(wrong)
            continue
        target = file.resolve()
        if target in taken:
            problems.append(Problem(f"{name} must go to a file of its own, got '{file}', where {taken[target]} goes"))
        if target in read:
            what = f"got '{file}' of {read[target]}"
            problems.append(Problem(f"{name} must not be a file that is read, {what}", "another name"))
        taken.setdefault(target, name)
    return problems


def _place(name: str, file: Path, example: str) -> Problem | None:
    """What is wrong with a file's name, or None."""
    try:
        if file.is_dir():
            return Problem(f"{name} must be a file, got the folder '{file}'", f"{file / example}")
        if file.exists() and not file.is_file():
            return Problem(f"{name} must be a plain file, got '{file}'", f"a file such as {example}")
        if file.suffix in MODELS:
            return Problem(f"{name} must not be a model, got '{file}'", f"{file.with_suffix(Path(example).suffix)}")
        if not file.resolve().parent.is_dir():
            return Problem(f"{name} must lie in a folder that exists, got '{file}'", f"make '{file.parent}' first")
    except (OSError, RuntimeError) as error:
        return Problem(f"{name} must be the name of a file, got '{file}': {error}")
    return None


def _read(options: argparse.Namespace) -> dict[Path, str]:
    """Every file that the command line names, and by which option."""
    own = {"output", "also", "format", "on_inconclusive", "command"}
    found = {}
    for name, value in vars(options).items():
        for each in value if isinstance(value, list) else [value]:
            if name not in own and isinstance(each, str | Path) and _is_file(Path(each)):
                found[Path(each).resolve()] = name
    return found


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # Words that are no names of files may be too long for one.
        return False


def _print(document: Mapping[str, Any], form: str) -> None:
    from edgesft.report.gate import render

    if form != "table":
        sys.stdout.write(render(document, form))
    if form == "github":
        # Nothing that a table quotes may be taken for a command: the runner heeds none until it sees the token again.
        token = secrets.token_hex(16)
        print(f"::stop-commands::{token}")
        _table(document)
        print(f"::{token}::")
    elif form == "table":
        _table(document)


def _table(document: Mapping[str, Any]) -> None:
    from rich.console import Console

    from edgesft.report.gate import tables
    from edgesft.report.table import WIDTH

    if sys.stdout.isatty():
        Console().print(tables(document))
        return
    console = Console(width=WIDTH)
    with console.capture() as capture:
        console.print(tables(document))
    sys.stdout.write(capture.get())


def _summarise(document: Mapping[str, Any]) -> None:
    """Appends to the step's summary; one that is not there or is full is no reason to fail what was measured."""
    from edgesft.report.github import summary

    name = os.environ.get(SUMMARY)
    if not name:
        return
    text = (summary(document) + "\n").encode("utf-8", "backslashreplace")
    try:
        with Path(name).open("ab") as file:
            if file.tell() + len(text) > SUMMARY_BYTES:
                print(f"edgesft: the summary is left out: this step has written {file.tell()} bytes", file=sys.stderr)
                return
            file.write(text)
    except OSError as error:
        print(f"edgesft: the summary is left out: {error}", file=sys.stderr)
