"""`edgesft init` for a person's own data: asks what no option says, writes the recipe, and checks it."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import InputError, Problem, UnavailableError

if TYPE_CHECKING:
    from edgesft.pipeline.draft import Wishes
    from edgesft.pipeline.draft.rows import Found

YAML = (".yaml", ".yml")

USUAL = "recipe.yaml"

OWN = ("model", "task", "validation", "test", "profile", "latency_ms", "latency_ratio", "size_mb", "max_drop")
"""Options that say something of a recipe for one's own data."""


def wanted(options: argparse.Namespace) -> bool:
    """Whether it is a recipe for one's own data that is to be written.

    Raises:
        InputError: A built-in recipe is named beside what only one's own can have.
    """
    said = [f"--{name.replace('_', '-')}" for name in OWN if getattr(options, name) is not None]
    said += ["--column"] if options.column else []
    named = options.recipe is not None and not options.recipe.endswith(YAML)
    if options.data or said:
        if named:
            message = f"a recipe for your own data must be given a file to write. Got the built-in {options.recipe!r}"
            raise InputError(message, f"edgesft init {options.recipe}.yaml {' '.join(said or ['--data'])} …")
        if not options.data and not _terminal():
            raise InputError(f"--data must be given with {said[0]}. Got none", "--data train.jsonl")
        return True
    return not named and (_terminal() or options.recipe is not None)


def main(options: argparse.Namespace) -> int:
    """Writes the recipe and what editors check it by; one that is wrong only where that is asked for."""
    from edgesft.cli import output
    from edgesft.cli.new_files import require_new, write
    from edgesft.pipeline.draft import draft
    from edgesft.pipeline.draft.recipe import SCHEMA
    from edgesft.spec.recipe import RecipeSpec

    target = options.folder / (options.recipe or USUAL)
    require_new(target)
    wishes, found = _wishes(options), None
    if not wishes.data:
        wishes, found = _answers(wishes)
    made = draft(wishes, target, found)
    warnings = [] if options.unchecked else _warnings(target, made.text)
    schema, text = target.parent / SCHEMA, json.dumps(RecipeSpec.model_json_schema(), indent=1) + "\n"
    outdated = _outdated(schema, text)
    if outdated:
        output.write(schema, text)
    write({target: made.text})
    for line in made.told:
        print(line)
    print(f"wrote {target}{f' and {schema}' if outdated else ''}")
    for warning in warnings:
        print(f"warning: {warning}")
    print(f"next:\n  edgesft plan {target}\n  edgesft run {target}")
    return 0


def _outdated(schema: Path, text: str) -> bool:
    """Whether editors have no schema yet, or that of another version; a file that something else made stays."""
    try:
        old = schema.read_text("utf-8")
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError):
        return False
    return old != text and '"title": "RecipeSpec"' in old


def _warnings(target: Path, text: str) -> Sequence[str]:
    """What is to be known of a recipe before it is written.

    Raises:
        InputError: It is not valid.
    """
    from edgesft.pipeline.check import check

    try:
        return check(target, text=text).warnings
    except UnavailableError as error:
        # Another machine may have it, and this one later.
        return [f"the recipe could not be checked: {error}"]
    except InputError as error:
        nothing = Problem("nothing was written", "--unchecked writes the recipe all the same, to be completed by hand")
        raise InputError([*error.problems, nothing]) from error


def _answers(wishes: Wishes) -> tuple[Wishes, Found]:
    if not _terminal():
        raise InputError("--data must be given where there is no terminal to ask on. Got none", "--data train.jsonl")
    try:
        return asked(wishes)
    except EOFError as error:
        raise InputError("every question must be answered, got the end of the input", "--data train.jsonl") from error


def asked(wishes: Wishes, ask: Callable[[str], str] = input) -> tuple[Wishes, Found]:
    """What a person at a terminal answers, and what the data are; an empty answer takes what stands in brackets.

    Args:
        wishes: What options said, which is not asked.
        ask: Asks a question.
    """
    from edgesft.pipeline.draft import recipe, rows
    from edgesft.spec import load
    from edgesft.tasks import registry

    def look(answer: str) -> Found:
        return rows.look([answer], Path(), wishes.task, wishes.columns)

    def device(answer: str) -> str:
        load.profile(answer)
        return answer

    again = partial(_again, ask)
    place, found = again("Labelled rows (file, folder, zip or hub://…)", None, lambda text: (text, look(text)))
    print(f"  {found.task}, columns {', '.join(found.columns.values())}")
    model = wishes.model or again("Pretrained model (folder, hub id)", recipe.USUAL.get(found.task), _some)
    profile = wishes.profile or again(f"Device ({', '.join(load.shipped('profiles'))})", recipe.usual_profile(), device)
    budget = wishes.budget or _limits(again, registry.task(found.task).metrics[0])
    return replace(wishes, data=[place], model=model, profile=profile, budget=budget), found


def _again(ask: Callable[[str], str], question: str, usual: str | None, take: Callable[[str], Any]) -> Any:
    while True:
        answer = ask(f"{question}{f' [{usual}]' if usual else ''}: ").strip() or usual or ""
        try:
            return take(answer)
        except (InputError, ValueError) as error:
            print(error, file=sys.stderr)


def _limits(again: Callable[..., Any], metric: str) -> Mapping[str, Any]:
    """The budget, of which latency and loss are asked."""
    from edgesft.budget.metric import impossible, scale

    of = scale(metric)
    usual = f"{of.allowance * of.times:g}"

    def loss(answer: str) -> float:
        value = float(answer) / of.times
        if impossible("max_drop", metric, value):
            raise InputError(f"the loss must be one that {metric} can have. Got {answer} {of.difference}", usual)
        return value

    limit = again("p95 latency in ms (empty: half of the original's)", None, _milliseconds)
    time = {"latency_ms": {"p95": limit}} if limit else {"latency_ratio": {"p50": 0.5}}
    return {**time, "max_drop": again(f"Allowed loss of {metric} ({of.difference})", usual, loss)}


def _wishes(options: argparse.Namespace) -> Wishes:
    from edgesft.pipeline.draft import Wishes

    columns = dict(_pair(word) for word in options.column)
    limits: Mapping[str, Any] = {
        "latency_ms": None if options.latency_ms is None else {"p95": options.latency_ms},
        "latency_ratio": None if options.latency_ratio is None else {"p50": options.latency_ratio},
        "size_mb": options.size_mb,
        "max_drop": options.max_drop,
    }
    budget = {name: value for name, value in limits.items() if value is not None}
    said = {name: getattr(options, name) for name in ("data", "model", "task", "validation", "test", "profile")}
    return Wishes(**said, columns=columns, budget=budget)


def _pair(word: str) -> tuple[str, str]:
    role, sign, name = word.partition("=")
    if not (role and sign and name):
        raise InputError(f"--column must be a role and a column. Got {word!r}", "--column text=sentence")
    return role, name


def _milliseconds(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    if not 0 < value < math.inf:
        raise InputError(f"the latency must be more than 0 ms. Got {text}", "5")
    return value


def _some(text: str) -> str:
    if not text:
        raise InputError("a model must be named", "a folder that save_pretrained wrote, or owner/name of the hub")
    return text


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
