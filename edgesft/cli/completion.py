"""`edgesft completion bash|zsh`."""

from __future__ import annotations

import argparse
from pathlib import Path

SHELLS = ("bash", "zsh")

PATHS = ("PATH", "FILE", "FOLDER", "RUN", "KEY", "NPZ")
"""What the help calls values that are files, where their type does not tell."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help='bash: eval "$(edgesft completion bash)" in ~/.bashrc')


def main(options: argparse.Namespace) -> int:
    """Prints what makes the shell complete commands, options and files."""
    import shtab

    from edgesft.cli.main import parser

    top = parser()
    _files(top)
    print(shtab.complete(top, options.shell))
    return 0


def _files(parser: argparse.ArgumentParser) -> None:
    """Tells shtab which values are files."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _files(each)
        elif action.type is Path or action.metavar in PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
