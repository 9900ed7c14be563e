"""`edgesft init` for a person's own data: asks what no option says, writes the recipe, and checks it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import InputError

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
    """Writes the recipe and what editors check it by, and says what is wrong with it, if anything is."""
    from edgesft.cli.new_files import require_new, write
    from edgesft.pipeline.check import check
    from edgesft.pipeline.draft import draft
    from edgesft.pipeline.draft.recipe import SCHEMA
    from edgesft.spec.recipe import RecipeSpec

    target = options.folder / (options.recipe or USUAL)
    require_new(target)
    wishes, found = _wishes(options), None
    if not wishes.data:
        if not _terminal():
            raise InputError(
                "--data must be given where there is no terminal to ask on. Got none", "--data train.jsonl"
            )
        try:
            wishes, found = asked(wishes)
        except EOFError as error:
            raise InputError(
                "every question must be answered, got the end of the input", "--data train.jsonl"
            ) from error
    made = draft(wishes, target, found)
    schema = target.parent / SCHEMA
    files = {target: made.text}
    if not schema.exists():
        files[schema] = json.dumps(RecipeSpec.model_json_schema(), indent=1) + "\n"
    write(files)
    for line in made.told:
        print(line)
    print(f"wrote {' and '.join(map(str, files))}")
    for warning in check(target).warnings:
        print(f"warning: {warning}")
    print(f"it is valid; next:\n  edgesft plan {target}\n  edgesft run {target}")
    return 0


def asked(wishes: Wishes, ask: Callable[[str], str] = input) -> tuple[Wishes, Found]:
    """What a person at a terminal answers, and what the data are; an empty answer takes what stands in brackets.

    Args:
        wishes: What options said, which is not asked.
        ask: Asks a question.
    """
    from edgesft.budget.metric import scale
    from edgesft.pipeline.draft import recipe, rows
    from edgesft.spec import load
    from edgesft.tasks import registry

    def again(question: str, usual: str | None, take: Callable[[str], Any]) -> Any:
        while True:
            answer = ask(f"{question}{f' [{usual}]' if usual else ''}: ").strip() or usual or ""
            try:
                return take(answer)
            except (InputError, ValueError) as error:
                print(error, file=sys.stderr)

    def look(answer: str) -> Found:
        return rows.look([answer], Path(), wishes.task, wishes.columns)

    place, found = again("Labelled rows (file, folder, zip or hub://…)", None, lambda text: (text, look(text)))
    print(f"  {found.task}, columns {', '.join(found.columns.values())}")
    model = wishes.model or again("Pretrained model (folder, hub id)", recipe.USUAL.get(found.task), _some)
    profile = wishes.profile or again(
        f"Device ({', '.join(load.shipped('profiles'))})", recipe.usual_profile(), lambda text: load.profile(text).name
    )
    budget = dict(wishes.budget)
    if not budget:
        limit = again("p95 latency in ms (empty: half of the original's)", None, lambda text: float(text or 0))
        metric = registry.task(found.task).metrics[0]
        of = scale(metric)
        usual = f"{of.allowance * of.times:g}"
        drop = again(f"Allowed loss of {metric} ({of.difference})", usual, lambda text: float(text) / of.times)
        budget = {"latency_ms": {"p95": limit}} if limit else {"latency_ratio": {"p50": 0.5}}
        budget["max_drop"] = drop
    return replace(wishes, data=[place], model=model, profile=profile, budget=budget), found


def _wishes(options: argparse.Namespace) -> Wishes:
    from edgesft.pipeline.draft import Wishes

    columns = dict(_pair(word) for word in options.column)
    limits: Mapping[str, Any] = {
        "latency_ms": options.latency_ms and {"p95": options.latency_ms},
        "latency_ratio": options.latency_ratio and {"p50": options.latency_ratio},
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


def _some(text: str) -> str:
    if not text:
        raise InputError("a model must be named", "a folder that save_pretrained wrote, or owner/name of the hub")
    return text


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
