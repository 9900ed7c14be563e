"""`edgesft completion bash|zsh|fish`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")

PATHS = {"PATH", "FILE", "FOLDER", "RUN", "KEY", "NPZ", "MODEL", "ARTEFACT", "CANDIDATE", "BASELINE", "CHECK.json"}
"""What the help calls values that are files, where their type does not tell."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    told = 'bash: eval "$(edgesft completion bash)" in ~/.bashrc; fish: edgesft completion fish | source in config.fish'
    parser.add_argument("shell", choices=SHELLS, help=told)


def main(options: argparse.Namespace) -> int:
    """Prints what makes the shell complete commands, options and files."""
    import shtab

    from edgesft.cli.main import parser

    top = parser()
    if options.shell == "fish":  # which shtab does not know
        print("\n".join(_fish(top)))
        return 0
    for each in (top, *_commands(top).values()):
        for action in each._actions:
            if _is_file(action):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(top, options.shell))
    return 0


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Name → parser of each command below one, those below it as `baseline update`."""
    found = dict[str, argparse.ArgumentParser]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                found |= {name: each, **{f"{name} {inner}": deeper for inner, deeper in _commands(each).items()}}
    return found


def _is_file(action: argparse.Action) -> bool:
    # `FILE|a.b=c`: one or the other.
    return action.type is Path or not PATHS.isdisjoint(re.split(r"[|\s]", str(action.metavar)))


def _fish(top: argparse.ArgumentParser) -> Iterator[str]:
    """A line for each word that may follow (fishshell.com/docs/current/cmds/complete.html)."""
    yield "complete -c edgesft -f"
    for name, parser in {"": top, **_commands(top)}.items():
        seen = "".join(f"__fish_seen_subcommand_from {word}; and " for word in name.split())
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                known = " ".join(action.choices)
                for each in action._choices_actions:
                    when = f"{seen}not __fish_seen_subcommand_from {known}"
                    yield f"complete -c edgesft -n '{when}' -a {each.dest} -d {_quoted(each.help)}"
                continue
            files = " -F" if _is_file(action) else ""
            choices = f" -a {_quoted(' '.join(map(str, action.choices)))}" if action.choices else ""
            if not action.option_strings and not (files or choices):
                continue
            when = seen.removesuffix("; and ") or "__fish_is_first_token"
            options = "".join(
                f" -{'l' if word.startswith('--') else 's'} {word.lstrip('-')}" for word in action.option_strings
            )
            takes = (" -r" if files else " -x") if action.option_strings and action.nargs != 0 else ""
            yield f"complete -c edgesft -n '{when}'{options}{takes}{files}{choices} -d {_quoted(action.help)}"


def _quoted(text: str | None) -> str:
    """As one word of fish; help is written for `%`."""
    plain = (text or "").replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{plain}'"
