"""The `edgesft` command and its exit codes.

0 holds · 1 budget or check failed · 2 bad input · 3 inconclusive · 4 this environment cannot do it.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from edgesft import __version__
from edgesft.errors import EdgesftError

COMMANDS = {
    "run": "run a recipe and judge its budget",
    "plan": "show the steps of a recipe, and which are already done",
    "data": "inspect a recipe's data: lengths, labels, duplicates, likely problems",
    "folds": "cross-validate a recipe's fine-tuning: train one model per fold, test it on the rows left out",
    "validate": "check recipes (with their data and model), profiles and budgets without running anything",
    "schema": "print the JSON schema of recipes, profiles, budgets or devices files",
    "generate": "answer a prompt with a run's model, token by token",
    "draw": "generate pictures with a run's model, in one image file",
    "speak": "speak a text with a run's model, into a WAV file",
    "bench": "measure any ONNX files, and compare them with limits",
    "check": "check a model or run against a budget file, and against a baseline",
    "compare": "measure a candidate and a baseline model side by side, and tell whether the candidate is worse",
    "tune": "find the threads and session options that make a model fastest on a device",
    "baseline": "update the baseline file: the figures that later models are compared with",
    "history": "read many results and find when a figure changed",
    "pack": "pack a run into a bundle for devices: models, contract, test rows with answers, measurements",
    "verify": "check that a bundle is complete, signed and consistent, and gives the recorded answers",
    "push": "upload a bundle to the Hugging Face hub, with a model card",
    "report": "show runs and other results as an HTML page, a table, Markdown or JSON, or browse a folder of runs",
    "init": "write a recipe for your data and model, copy a built-in recipe, or write a CI pipeline",
    "recipes": "list the built-in recipes",
    "profiles": "list the device profiles, or show one",
    "doctor": "show what this machine can do, and how to install what is missing",
    "completion": "print a shell script that completes commands, options and files",
}
BRIEF = ("validate", "plan")
"""Commands of which nearly all that they load and read is there until they end, which is soon."""

SELDOM = 100_000
"""Objects that a brief command makes before Python looks for garbage among them; its usual 700 take 8 % of the time of
`validate` on 10 000 rows."""

INTERRUPTED = 130
"""What shells expect of a process that Ctrl-C ended (128 + SIGINT)."""

CLOSED = 141
"""What shells expect of a process whose reader went away (128 + SIGPIPE)."""


def parser(called: str | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        called: The one command whose arguments are declared, so that no other module is imported; by default all are.
    """
    top = argparse.ArgumentParser(
        prog="edgesft",
        description="Fine-tune, compress and export models that provably meet a real-time budget on a named device.",
        epilog="exit codes: 0 budget met, 1 failed, 2 bad input, 3 inconclusive, 4 this environment cannot do it",
    )
    top.add_argument("--version", action="version", version=f"edgesft {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if called in (None, name):
            importlib.import_module(f"edgesft.cli.{name}").arguments(command)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    _escape()
    options = _parse(argv)
    # The runtime's telemetry leaves files in the user's folders; also where this process itself loads the runtime.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Read when torch is loaded. Threads that wait by spinning stop each other where the cores are shared: beside one
    # busy process on two cores, training took 10 to 15 rows a second so, and 65 when they spin briefly and then sleep.
    # Ten times as long cost a quarter more where the second core was only shown, and gained nothing where it was there.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Nothing here is for pydantic's plugins, for which it would read files of all packages that are installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    command = importlib.import_module(f"edgesft.cli.{options.command}")
    try:
        with _collecting(options.command):
            code = _run(command, options)
        sys.stdout.flush()
        return code
    except EdgesftError as error:
        print(f"edgesft {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\nedgesft: {getattr(command, 'STOPPED', 'stopped')}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def _escape() -> None:
    """Has what the terminal or the pipe cannot hold printed as an escape, where it would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Notebooks have others in their places.
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _collecting(command: str) -> Iterator[None]:
    """Has Python look for garbage seldom where a command is brief, and not once more when the process ends."""
    usual = gc.get_threshold()
    if command in BRIEF:
        gc.set_threshold(SELDOM, *usual[1:])
        atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _run(command: ModuleType, options: argparse.Namespace) -> int:
    """Runs the command; of several processes that a launcher started the first does, and the others help it train."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return int(command.main(options))
    from edgesft.train import workers

    with workers.joined() as rank:
        if rank == 0:
            return int(command.main(options))
        from edgesft.train import engine

        engine.serve()
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Argparse takes `a.b=c` only before the first option; a person writes it anywhere."""
    words = sys.argv[1:] if argv is None else argv
    # No option before the command takes a value, so that the first word is the command.
    top = parser(next((word for word in words if not word.startswith("-")), ""))
    options, rest = top.parse_known_args(words)
    plain = [word for word in rest if not word.startswith("-")]
    later = plain if hasattr(options, "words") else [word for word in plain if "=" in word and "settings" in options]
    if unknown := [word for word in rest if word not in later]:
        top.error(f"unrecognized arguments: {' '.join(unknown)}")
    if later:
        taken = "words" if hasattr(options, "words") else "settings"
        setattr(options, taken, [*getattr(options, taken), *later])
    return options
