"""A commented recipe from what the data and the model are."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from edgesft.errors import InputError
from edgesft.pipeline.draft import model as models
from edgesft.pipeline.draft import rows as data
from edgesft.pipeline.draft.lines import line
from edgesft.pipeline.draft.rows import Found
from edgesft.pipeline.draft.wishes import Wishes
from edgesft.pipeline.draft.writer import Writer
from edgesft.spec import load

SCHEMA = "recipe.schema.json"
"""Beside the recipe: editors complete and check it by this."""

USUAL = {
    "text-classification": "sentence-transformers/all-MiniLM-L6-v2",
    "token-classification": "distilbert/distilbert-base-cased",
    "question-answering": "distilbert/distilbert-base-cased",
    "multi-task": "sentence-transformers/all-MiniLM-L6-v2",
    "zero-shot-classification": "sentence-transformers/all-MiniLM-L6-v2",
    "image-classification": "google/mobilenet_v2_0.35_96",
    "recommendation": "edgesft.tasks.sasrec:sasrec",
}
"""Task → a model, of the hub or from nothing, to begin with, where there is one that everybody begins with."""


@dataclass(frozen=True)
class Draft:
    """A recipe to be written.

    Attributes:
        text: What the file holds.
        told: What was found of data and model, and what is left open, a line each.
    """

    text: str
    told: tuple[str, ...]


def usual_profile() -> str:
    """The profile that means one thread of this machine."""
    return "x86-1-thread" if platform.machine().lower() in ("x86_64", "amd64") else "this-machine"


def draft(wishes: Wishes, target: Path, found: Found | None = None) -> Draft:
    """The recipe for what a person has.

    Args:
        wishes: What is known; paths start from the folder that one is in.
        target: File that the recipe goes to, whose folder its paths start from.
        found: What the data are, where they were looked at already.

    Raises:
        InputError: Data or model cannot be read, or fit no task.
    """
    here = Path()
    found = found or data.look(wishes.data, here, wishes.task, wishes.columns)
    name = wishes.model or USUAL.get(found.task)
    if name is None:
        hint = "--model FOLDER, or --model module:function for one of your own"
        raise InputError(f"--model must be given for {found.task}: this task has no usual model to start from", hint)
    inputs = [role for role in found.columns if role != "label"] if found.task == "arrays" else ["x"]
    model = models.look(name, here, inputs)
    if found.task == "text-to-text" and wishes.task is None and model.writes:
        found = data.look(wishes.data, here, "text-generation", wishes.columns)
    profile = load.profile(wishes.profile or usual_profile())
    writer = Writer(wishes, found, name, model, target)
    # A folder may be called as a profile is.
    named = writer.path(wishes.profile) if wishes.profile and load.is_file(wishes.profile) else profile.name
    lines = [
        f"# {found.task}: written by `edgesft init` from {' '.join(wishes.data)}",
        f"# Start with:  edgesft run {target.name}      (edgesft plan {target.name}: shows the steps)",
        f"# yaml-language-server: $schema={SCHEMA}",
        "version: 1",
        "",
        *writer.model(),
        "",
        *writer.data(),
        "",
        "# Where the model will run: `edgesft profiles` lists the devices. A list of profiles gives one verdict each.",
        line(f"profile: {named}", profile.description),
        "",
        *writer.budget(profile.budget.model_dump(exclude_defaults=True)),
        "",
        *writer.stages(),
        "",
        "seed: 0",
    ]
    return Draft("\n".join(lines) + "\n", tuple(writer.told))
