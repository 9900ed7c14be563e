"""Inspects the rows of a recipe: what they contain, and likely problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import checks, near_duplicates, relevance, splits
from edgesft.data.carve import stratum
from edgesft.data.rows import numbers
from edgesft.errors import InputError, Problem
from edgesft.pipeline.check import of_files
from edgesft.pipeline.reading import findings as reading_findings
from edgesft.pipeline.reading import percentiles, reading
from edgesft.spec import load
from edgesft.spec.recipe import RecipeSpec
from edgesft.tasks import registry
from edgesft.tasks.base import Row, Task
from edgesft.tasks.metrics import classification
from edgesft.tasks.models import source
from edgesft.tasks.models.source import Source

IMBALANCED, FEW = 10, 10
"""Largest class over smallest, and rows of a class, that are worth a word."""

OTHER_KIND = 0.7
"""Area under the curve from which train and test are of different kinds: random halves of one set stay below 0.55."""

SHOWN = 10


def survey(path: Path, settings: Sequence[str] = ()) -> dict[str, Any]:
    """What is in a recipe's rows.

    Args:
        path: Recipe file.
        settings: `a.b=c` values that replace what the file says.

    Returns:
        JSON values: `splits` (of each rows, lengths in characters and tokens, how often each label is there), `across`
        (of each other split what it shares with train) and `findings` (each a message and a hint).

    Raises:
        InputError: The recipe, its rows or its model cannot be read; every problem found.
    """
    recipe, problems, _ = load.recipe(path, settings)
    if recipe is None or problems:
        raise InputError(problems)
    task, base = registry.of(recipe, path.parent), path.parent
    read = splits.load(recipe.data, task.schema, base, recipe.seed)
    rows = read.rows()
    found: list[Problem] = task.check(rows, recipe.data.options())
    found += [] if found else [Problem(message) for message in task.warnings(rows)]
    wrong, warnings = of_files(recipe, task, read, base)
    found += [*wrong, *(Problem(message) for message in (*read.warnings, *warnings))]
    place = source.resolve(recipe.model, base)
    tokens = _readings(recipe, rows, task, place)
    told = {name: _split(each, task) | tokens[name] for name, each in rows.items()}
    # What a user did is in all splits, and goes on in each.
    held = {name: each for name, each in rows.items() if name != "train" and not task.by_user}
    across = {name: _across(rows["train"], each, task, recipe.seed) for name, each in held.items()}
    findings = found + _findings(told, across) + reading_findings(tokens, recipe.data.max_length, task.limit(place))
    return {
        "recipe": str(path),
        "splits": told,
        "across": across,
        "findings": [{"message": each.message, "hint": each.hint} for each in findings],
    }


def _readings(
    recipe: RecipeSpec, rows: Mapping[str, Sequence[Row]], task: Task, place: Source
) -> dict[str, dict[str, Any]]:
    contract = task.contract(rows["train"], task.implied(place, recipe.data.options()))
    processor = task.load_processor(place, contract)
    return {name: reading(task, each, processor, contract) for name, each in rows.items()}


def _split(rows: Sequence[Row], task: Task) -> dict[str, Any]:
    texts = [task.text(row) for row in rows]
    labels, called = dict[str, set[str]](), dict[str, str]()
    for each, number, row in zip(texts, numbers(rows), rows, strict=True):
        if "label" in row:
            labels.setdefault(each, set()).add(stratum(row))
            called.setdefault(each, repr(each) if task.words else f"that of row {number}")
    counts = Counter(label for row in rows for label in task.classes(row))
    return {
        "rows": len(rows),
        "duplicates": len(texts) - len(set(texts)),
        "conflicts": [called[each] for each, said in labels.items() if len(said) > 1][:SHOWN],
        "conflicting": sum(len(said) > 1 for said in labels.values()),
        "characters": percentiles(np.asarray([len(each) for each in texts])) if task.words else None,
        "labels": dict(counts.most_common()),
    }


def _across(train: Sequence[Row], held: Sequence[Row], task: Task, seed: int) -> dict[str, Any]:
    ours, theirs = [task.text(row) for row in train], [task.text(row) for row in held]
    known = set(ours)
    pairs = near_duplicates.near_duplicates(ours, theirs) if task.words else []
    area = None
    if task.words and min(len(ours), len(theirs)) >= relevance.FOLDS:
        area = classification.auc(*relevance.apart(ours, theirs, seed))
    return {
        "same": sum(each in known for each in theirs),
        "near": len(pairs) if task.words else None,
        "pairs": [
            {
                "train": numbers(train)[pair.one],
                "row": numbers(held)[pair.other],
                "similarity": pair.similarity,
                "text": theirs[pair.other],
            }
            for pair in pairs[:SHOWN]
        ],
        "apart": area,
        "labels_lacking": sorted({label for row in train for label in task.classes(row)}
                                 - {label for row in held for label in task.classes(row)}),
    }  # fmt: skip


def _findings(told: Mapping[str, Mapping[str, Any]], across: Mapping[str, Any]) -> list[Problem]:
    found = [problem for name, each in told.items() for problem in _of_split(name, each)]
    for name, each in across.items():
        share = (each["near"] or 0) / told[name]["rows"]
        if share >= checks.OVERLAP_LIMIT:
            message = f"data.{name}: {each['near']} rows ({share:.1%}) are nearly the same as a row of train"
            found.append(Problem(message, "remove them, or split by their source (data.group)"))
        if each["apart"] is not None and each["apart"] >= OTHER_KIND:
            area = f"AUC {each['apart']:.2f}; 0.5 if they are alike"
            message = f"data.{name}: a simple classifier tells its rows from those of train ({area}): what the model "
            message += "learns there may not hold here"
            found.append(Problem(message, f"more training rows like those of {name}, or another {name}"))
        if each["labels_lacking"]:
            message = f"data.{name}: no row has the labels {checks.listed(each['labels_lacking'])}"
            found.append(Problem(message, "add rows with them; without any, metrics do not cover these labels"))
    return found


def _of_split(name: str, each: Mapping[str, Any]) -> list[Problem]:
    found = []
    counts = each["labels"]
    if each["conflicting"]:
        message = f"data.{name}: {each['conflicting']} inputs have several labels, such as {each['conflicts'][0]}"
        found.append(Problem(message, "decide on one label, or tell the inputs apart"))
    if counts and name == "train":
        most, fewest = max(counts.values()), min(counts.values())
        if most >= IMBALANCED * fewest:
            message = f"data.{name}: the largest class has {most} examples, the smallest {fewest}"
            hint = "more rows of the smallest; with one class per row, class_weights: balanced and a limit on f1_macro"
            found.append(Problem(message, hint))
        if few := [label for label, count in counts.items() if count < FEW]:
            message = f"data.{name}: fewer than {FEW} rows have the labels {checks.listed(few)}"
            found.append(Problem(message, "more rows with them"))
    return found
