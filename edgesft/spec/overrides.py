"""Values set from the command line: `seed=1`, `stages.prune.latency=0.4`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import yaml

from edgesft.errors import InputError, Problem
from edgesft.spec.document import Document, Loc, scalar
from edgesft.spec.problems import nearest


def override(document: Document, settings: Sequence[str], expand: Callable[[Document], None] = lambda _: None) -> None:
    """Sets each `a.b=c` in the document's data; a stage is named by its name, its kind or its index.

    Args:
        document: Is changed.
        settings: In the order in which they are set.
        expand: Called after each, so that the next can reach into what a word stands for.

    Raises:
        InputError: A setting is not `key=value`, or its path leads nowhere; all such settings at once.
    """
    problems = []
    for setting in settings:
        if problem := _set(document, setting):
            problems.append(problem)
        expand(document)
    if problems:
        raise InputError(problems)


def _set(document: Document, setting: str) -> Problem | None:
    where = f"command line '{setting}'"
    path, equals, text = setting.partition("=")
    if not equals or not path:
        return Problem("must be key=value", "for example seed=1", where)
    try:
        value = scalar(text)
    except yaml.YAMLError:
        return Problem(f"the value must be YAML. Got {text!r}", "quote it", where)
    at: Any = document.data
    loc: Loc = ()
    parts = path.split(".")
    if not all(parts):
        return Problem(f"each part of the key must be a name. Got '{path}' with an empty one", "data.train=FILE", where)
    for depth, part in enumerate(parts):
        key = _index(at, part, depth and parts[depth - 1] == "stages")
        if isinstance(key, Problem):
            return Problem(key.message, key.hint, where)
        loc = (*loc, key)
        if depth == len(parts) - 1:
            at[key] = value
        else:
            at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
            if not isinstance(at, dict | list):
                return Problem(f"'{part}' must be a mapping to set a key in it. Got {at!r}", None, where)
    document.notes[loc] = where
    return None


def _index(at: Any, part: str, in_stages: bool | int) -> str | int | Problem:
    if isinstance(at, dict):
        return part
    if part.isdecimal():
        return int(part) if int(part) < len(at) else Problem(f"there are only {len(at)} entries. Got index {part}")
    if not in_stages:
        return Problem(f"'{part}' must be an index from 0 to {len(at) - 1}")
    stages = [stage if isinstance(stage, dict) else {} for stage in at]
    for field in ("name", "stage"):
        places = [index for index, stage in enumerate(stages) if stage.get(field) == part]
        if len(places) == 1:
            return places[0]
        if places:
            return Problem(f"'{part}' names {len(places)} stages", "give each a `name:` and use it, or the index")
    names = [str(stage.get("name") or stage.get("stage")) for stage in stages]
    return Problem(f"no stage is called '{part}'", nearest(part, names))
