"""`edgesft report RUN …`, and `edgesft report --serve FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.cli import output
from edgesft.errors import InputError

if TYPE_CHECKING:
    from edgesft.report.reading import Read

FORMATS = ("html", "markdown", "json", "table")

PORT = 8765

PAGE = "report.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RUN",
        help="folders of runs, their results.json, or the JSON of bench, check, compare or history",
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="format (default: table)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"file to write; html goes to {PAGE} beside the run by default, or to this folder if there are several",
    )
    parser.add_argument(
        "--serve",
        type=Path,
        metavar="FOLDER",
        help="serve all runs below this folder to a browser, on this machine only",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"port for --serve (default: {PORT}; 0 picks a free one)"
    )


def main(options: argparse.Namespace) -> int:
    """Tells of the runs, and answers 0: what their verdicts are is told, and not judged again."""
    from edgesft.report import reading

    if options.serve:
        if options.words:
            raise InputError(
                f"report must be given runs or --serve, got both: {options.words[0]}", "leave the runs out"
            )
        return _serve(options.serve, options.port)
    found = reading.read(options.words)
    file = options.output or (_beside(found) if options.format == "html" else None)
    if file is not None:
        output.require(file, [each.file for each in found], PAGE)
    text = _text(found, options.format)
    if file is None:
        sys.stdout.write(text)
        return 0
    output.write(file, text)
    print(f"report: {file}")
    return 0


def _text(found: Sequence[Read], form: str) -> str:
    """The documents in a format.

    Raises:
        InputError: One is damaged.
    """
    from edgesft.report.reading import DAMAGED

    try:
        return _rendered(found, form)
    except DAMAGED as error:
        if len(found) > 1:
            for each in found:
                _text([each], form)
        files = ", ".join(f"'{each.file}'" for each in found)
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{files} must be as edgesft wrote it, got damaged content ({reason})") from error


def _rendered(found: Sequence[Read], form: str) -> str:
    from edgesft.report import formats

    if form == "html":
        return formats.html(found)
    if form == "json":
        return json.dumps(formats.document(found), indent=1) + "\n"
    return formats.markdown(found) if form == "markdown" else formats.table(found, _width())


def _beside(found: list[Read]) -> Path:
    return found[0].page if len(found) == 1 else Path(PAGE)


def _width() -> int | None:
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else None


def _serve(folder: Path, port: int) -> int:
    from edgesft.report.serve.server import serve

    try:
        with serve(folder, port) as server:
            print(f"report: {server.address} (Ctrl-C ends it)", flush=True)
            server.serve_forever()
    except KeyboardInterrupt:
        print("\nreport: ended", file=sys.stderr)
    return 0
