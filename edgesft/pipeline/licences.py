"""The licences of a run's model and data, as far as they state one."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from edgesft.spec.hub import PREFIX, HubAddress
from edgesft.spec.interactions import LAST
from edgesft.tasks.models.source import PACKAGE

CARD = "README.md"

TEXTS = re.compile(r"(licen[cs]e|copying)([._-].*)?", re.IGNORECASE)
"""Names of files that hold terms."""

SPLITS = ("train", "validation", "test", "unknown")

FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---\s*$", re.DOTALL | re.MULTILINE)
"""What the cards of the hub begin with."""

LONGEST = 80
"""Characters of a title that is told."""

UNTOLD = ("", "UNKNOWN")
"""What packages say that say nothing."""


def licences(recipe: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """What a resolved recipe names, each with its licence.

    Nothing is fetched: cards of the hub are read where its cache has them. A file of terms beside the data may be of
    the whole folder, so that each entry says where it was found.

    Args:
        recipe: As it was carried out, with full paths.

    Returns:
        `of` (`model`, `data.train`, …), `name`, `licence` (an identifier, or the first line of the terms) and `found`,
        the file or package that says so; both None where nothing does.
    """
    data = recipe.get("data") or {}
    told = [(f"data.{split}", value) for split in SPLITS if (value := data.get(split)) != LAST]
    named = [("model", recipe.get("model")), *told]
    found = []
    for of, value in named:
        for name in _names(value):
            licence, where = _licence(name, "model" if of == "model" else "dataset") or (None, None)
            found.append({"of": of, "name": name, "licence": licence, "found": where})
    return found


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        # A factory's weights are what has terms, or a file of others; arguments, losses and names are settings.
        own = [value.get("weights")] if "factory" in value else [value["onnx"]] if "onnx" in value else value.values()
        for each in own:
            yield from _names(each)
    elif isinstance(value, str):
        yield value


def _licence(name: str, kind: str) -> tuple[str, str] | None:
    if name.startswith(PACKAGE):
        return _of_package(*name.removeprefix(PACKAGE).partition("/")[::2])
    if name.startswith(PREFIX):
        return _on_hub(HubAddress.parse(name).name, kind)
    path = Path(name)
    if path.exists():
        return _in_folder(path if path.is_dir() else path.parent)
    return _on_hub(name, kind) if kind == "model" else None


def _in_folder(folder: Path) -> tuple[str, str] | None:
    if told := _card(folder / CARD):
        return told, str(folder / CARD)
    for file in sorted(folder.iterdir()):
        if TEXTS.fullmatch(file.name) and file.is_file() and (title := _title(file)):
            return title, str(file)
    return None


def _of_package(package: str, inside: str) -> tuple[str, str] | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / inside
        if folder.is_dir() and (told := _in_folder(folder)):
            return told
    try:
        facts: Any = importlib.metadata.metadata(package.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return None
    declared = [str(facts[key]) for key in ("License-Expression", "License") if facts[key] not in (None, *UNTOLD)]
    where = f"package {facts['Name']} {facts['Version']}"
    return (declared[0].splitlines()[0][:LONGEST], where) if declared else None


def _on_hub(name: str, kind: str) -> tuple[str, str] | None:
    """By the card in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, CARD, repo_type=kind)
    except HFValidationError:
        return None
    told = _card(Path(file)) if isinstance(file, str) else None
    return (told, f"{PREFIX}{name}" if kind == "dataset" else name) if told else None


def _card(file: Path) -> str | None:
    """The licence in a card's front matter."""
    try:
        front = FRONT.match(file.read_text("utf-8", "replace"))
        facts = yaml.safe_load(front[1]) if front else None
    except (OSError, yaml.YAMLError):
        return None
    told = facts.get("license") if isinstance(facts, Mapping) else None
    told = ", ".join(map(str, told)) if isinstance(told, list) else told
    return str(told)[:LONGEST] if told else None


def _title(file: Path) -> str | None:
    """The first line of the terms that has words."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((text[:LONGEST] for line in lines if (text := line.strip(" #*=-\t"))), None)
