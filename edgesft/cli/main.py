"""The `edgesft` command and its exit codes.

0 holds · 1 budget or check failed · 2 bad input · 3 inconclusive · 4 this environment cannot do it.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
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
    "data": "look at the rows of a recipe: lengths, labels, duplicates, what will hurt",
    "folds": "cross-validate a recipe's fine-tuning: a model a fold, judged on the rows that it did not see",
    "validate": "check recipes with all they name, profiles and budgets, without running anything",
    "schema": "print the JSON schema of recipes, profiles or budgets",
    "generate": "let a run's model answer a prompt, token by token",
    "draw": "make pictures by a run's model, all on one",
    "speak": "let a run's model say a text, into a WAV file",
    "bench": "measure ONNX files, any ONNX files, and hold them against limits",
    "check": "hold one artefact against a budget file, and against a baseline",
    "compare": "measure a candidate against a baseline model in one job, and decide",
    "baseline": "keep the file of figures that later artefacts are held against",
    "history": "read many results and find where a figure stepped",
    "pack": "pack a run into a bundle for devices: models, contract, golden rows, receipt",
    "verify": "check a bundle: whole, signed, in agreement with itself, and answering as it did",
    "push": "put a bundle on the Hugging Face hub, its model card as the page",
    "report": "tell of runs and other results as a page, a table, Markdown or JSON; or show a folder of them",
    "init": "write a recipe for your data and your model, or copy a built-in one, or the gate in CI",
    "recipes": "list the built-in recipes",
    "profiles": "list the device profiles, or show one",
    "doctor": "say what this machine is and can do, and how to add what is missing",
    "completion": "print what makes a shell complete commands, options and files",
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
        epilog="exit codes: 0 holds, 1 budget failed, 2 bad input, 3 inconclusive, 4 this environment cannot do it",
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
    options = _parse(argv)
    # The runtime's telemetry leaves files in the user's folders; also where this process itself loads the runtime.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Read when torch is loaded. Threads that wait by spinning stop each other where the cores are shared: beside one
    # busy process on two cores, training took 10 to 15 rows a second so, and 65 when they spin briefly and then sleep;
    # on quiet cores that costs 4 % (n = 2).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
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
