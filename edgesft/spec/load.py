"""From files to specs, with every problem of a file at once."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgesft import resources
from edgesft.errors import InputError, Problem
from edgesft.spec import auto
from edgesft.spec import document as documents
from edgesft.spec.base import Spec
from edgesft.spec.devices import DevicesSpec
from edgesft.spec.document import Document, Loc
from edgesft.spec.gate import GateSpec
from edgesft.spec.overrides import override
from edgesft.spec.problems import findings, problems
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.recipe import RecipeSpec

S = TypeVar("S", bound=BaseModel)

KINDS: dict[str, type[Spec]] = {
    "budget": GateSpec,
    "devices": DevicesSpec,
    "profile": ProfileSpec,
    "recipe": RecipeSpec,
}
"""What a file may be → its schema."""


def recipe(
    path: Path, settings: Sequence[str] = (), text: str | None = None
) -> tuple[RecipeSpec | None, list[Problem], Document]:
    """Reads a recipe file.

    Args:
        path: YAML file.
        settings: `a.b=c` values that replace what the file says.
        text: What the file will hold, where it is not written yet.

    Returns:
        The recipe; what is wrong with it; and the document that tells where each value stands. With problems, the
        recipe is what remains without the wrong values, so that further checks can find more, or None.

    Raises:
        InputError: The file cannot be read at all, or a setting leads nowhere.
    """
    document = documents.read(path) if text is None else documents.parse(text, str(path))
    _expand(document)
    override(document, settings, _expand)
    try:
        return RecipeSpec.model_validate(document.data), [], document
    except ValidationError as error:
        return _salvage(error, document), problems(error, document, RecipeSpec), document


def _expand(document: Document) -> None:
    """Puts the stages in place of `auto`, so that settings can reach into them."""
    if document.data.get("stages") == auto.AUTO:
        document.data["stages"] = auto.stages()


def _salvage(error: ValidationError, document: Document) -> RecipeSpec | None:
    """The recipe without its wrong values; a stage that cannot do without one goes with it."""
    rest = document.data
    for _ in range(2):
        rest = _without(findings(error, document), rest)
        try:
            return RecipeSpec.model_validate(rest)
        except ValidationError as again:
            error = again
    return None


def _without(locs: Iterable[Loc], data: Any) -> Any:
    """A copy of nested values that lacks those at `locs`."""
    data = copy.deepcopy(data)
    # From the back, so that an index still means what it meant after an entry behind it is gone.
    for loc in sorted(set(locs), key=lambda loc: [str(part).zfill(6) for part in loc], reverse=True):
        at: Any = data
        for part in loc[:-1]:
            at = at[part] if not isinstance(at, dict) or part in at else {}
        if loc and (loc[-1] in at if isinstance(at, dict) else int(loc[-1]) < len(at)):
            del at[loc[-1]]
    return data


def validate(document: Document, schema: type[S]) -> S:
    """The document as a spec.

    Raises:
        InputError: Everything that is wrong with it.
    """
    try:
        return schema.model_validate(document.data)
    except ValidationError as error:
        raise InputError(problems(error, document, schema)) from None


def kind(document: Document) -> str:
    """What a file is, of `KINDS`: that which has most of its keys; of several, the one that needs fewest.

    Raises:
        InputError: More than half of its keys are none of any.
    """
    keys = [str(key) for key in document.data]
    alike = {name: sum(_known(key, schema) for key in keys) for name, schema in KINDS.items()}
    best = max(alike, key=lambda name: (alike[name], -_needed(KINDS[name])))
    if 2 * alike[best] <= len(keys):
        got = ", ".join(keys) or "none"
        message = f"must be a recipe, a device profile, a budget or a file of devices. Got the keys {got}"
        raise InputError(Problem(message, "edgesft schema recipe | profile | budget | devices", document.source))
    return best


def _known(key: str, schema: type[Spec]) -> bool:
    return bool(difflib.get_close_matches(key, schema.model_fields, n=1, cutoff=0.8))


def _needed(schema: type[Spec]) -> int:
    return sum(field.is_required() for field in schema.model_fields.values())


def gate(path: Path, settings: Sequence[str] = ()) -> tuple[GateSpec, Document]:
    """A budget file, and the document that tells where each limit stands.

    Raises:
        InputError: The file cannot be read, or everything that is wrong with it.
    """
    document = documents.read(path)
    override(document, settings)
    return validate(document, GateSpec), document


def profile(
    name: str, base: Path = Path(), settings: Sequence[str] = (), *, without: Sequence[str] = ()
) -> ProfileSpec:
    """A profile by the name of one that ships, or from a YAML file.

    Args:
        name: `x86-1-thread`, or a path ending in `.yaml` or `.yml`, relative to `base`.
        base: Folder of the recipe.
        settings: `a.b=c` values that replace what the file says.
        without: Keys of the file that do not count.

    Raises:
        InputError: There is no such profile, or something is wrong with it.
    """
    document = documents.read(_profile_file(name, base))
    for key in without:
        document.data.pop(key, None)
    override(document, settings)
    return validate(document, ProfileSpec)


def _profile_file(name: str, base: Path) -> Path:
    if is_file(name):
        return base / name
    known = shipped("profiles")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"'{near[0]}'" if near else f"one of {', '.join(known)}, or a YAML file"
        raise InputError(f"'profile' must be a known profile or a YAML file. Got {name!r}", hint)
    return known[name]


def is_file(name: str) -> bool:
    """Whether a profile is named by its file."""
    return name.endswith((".yaml", ".yml"))


def shipped(kind: str) -> dict[str, Path]:
    """Name → file of the `profiles` or `recipes` that ship with edgesft."""
    return {path.stem: path for path in sorted(resources.folder(kind).glob("*.yaml"))}
