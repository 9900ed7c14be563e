"""pydantic's findings in the user's words: field, what it must be, what it got, and the nearest valid key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from edgesft.errors import Problem
from edgesft.spec.auto import AUTO
from edgesft.spec.document import Document, Loc

Finding = Mapping[str, Any]
"""One entry of pydantic's `ValidationError.errors()`."""


def problems(error: ValidationError, document: Document, schema: type[BaseModel]) -> list[Problem]:
    """Every finding as a `Problem`, in the order of the file, one for each place."""
    found = findings(error, document)
    return [_problem(loc, found[loc], document, schema) for loc in sorted(found, key=lambda loc: _order(loc, document))]


def findings(error: ValidationError, document: Document) -> dict[Loc, list[Finding]]:
    """Pydantic's findings by their place in the file, without those that only follow from one further inside."""
    found: dict[Loc, list[Finding]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_place(item, document), []).append(item)
    inner = {loc[:end] for loc in found for end in range(len(loc))}
    return {loc: items for loc, items in found.items() if loc not in inner}


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint: the nearest of the valid words, or all of them."""
    words = sorted(words)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"'{near[0]}'" if near else f"one of {', '.join(words)}"


def _order(loc: Loc, document: Document) -> tuple[int, str]:
    for end in range(len(loc), -1, -1):
        if loc[:end] in document.lines:
            return document.lines[loc[:end]], str(loc)
    return 0, str(loc)


def _place(item: Finding, document: Document) -> Loc:
    """Pydantic's location without the parts that name a member of a union instead of a place in the file."""
    raw, kind, data = item["loc"], item["type"], document.data
    loc: list[str | int] = []
    for index, part in enumerate(raw):
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
        elif not (kind == "missing" and index == len(raw) - 1):
            continue
        loc.append(part)
    return tuple(loc)


def _problem(loc: Loc, items: list[Finding], document: Document, schema: type[BaseModel]) -> Problem:
    item, raw = items[0], items[0]["loc"]
    name, kind = _name(loc) or document.source, item["type"]
    if kind == "extra_forbidden":
        return Problem(f"'{name}' is not a key here", nearest(name, _keys(schema, raw[:-1])), document.where(loc))
    if kind == "missing":
        return Problem(f"'{name}' must be given", None, document.where(loc[:-1]))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag.strip().strip("'") for tag in item.get("ctx", {}).get("expected_tags", "").split(",")] or _tags()
        got = item["input"].get("stage") if isinstance(item["input"], dict) else item["input"]
        if got is None:
            return Problem(f"'{name}' must say its 'stage'", f"stage: {' | '.join(_tags())}", document.where(loc))
        return Problem(f"'stage' must be a stage's kind. Got {got!r}", nearest(str(got), tags), document.where(loc))
    if kind in ("float_parsing", "int_parsing") and (hint := _number(name, item["input"])):
        return Problem(f"'{name}' must be a number. Got {item['input']!r}", hint, document.where(loc))
    if raw == ("stages",) and kind == "tuple_type":
        message = f"'stages' must be a list of stages, or {AUTO}. Got {item['input']!r}"
        return Problem(message, f"stages: {AUTO}", document.where(loc))
    wishes = list(dict.fromkeys(_wish(each) for each in items))
    got = "" if kind == "value_error" and isinstance(item["input"], dict) else f". Got {item['input']!r}"
    return Problem(f"'{name}' {' or '.join(wishes)}{got}", None, document.where(loc))


def _number(name: str, text: str) -> str | None:
    """A hint for a number that has its unit behind it."""
    found = re.fullmatch(r"\s*([0-9]+\.?[0-9]*)\s*(%|[A-Za-z]+)\s*", text)
    if not found:
        return None
    number, unit = found.groups()
    return f"{name}: {float(number) / 100:g}" if unit == "%" else "the number alone, in the unit that the key names"


def _name(loc: Loc) -> str:
    """The last key, with the position behind it where it is an item of a list."""
    place = next((at for at, part in reversed(list(enumerate(loc))) if isinstance(part, str)), 0)
    return ".".join(map(str, loc[place:]))


def _wish(item: Finding) -> str:
    if item["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "must be keys and values, as in 'key: value'"
    if item["type"] == "too_short":
        count = item["ctx"]["min_length"]
        return f"must have at least {count} item{'s' if count > 1 else ''}"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "must be").replace("Input should", "must")
    return message.replace("a valid tuple", "a list")  # which is what a file can say


def _tags() -> list[str]:
    from edgesft.spec.stages import STAGES

    return sorted(STAGES)


def _keys(schema: type[BaseModel], raw: Loc) -> set[str]:
    """The keys that are valid at pydantic's location."""
    schemas = [schema]
    for part in raw:
        inner: list[type[BaseModel]] = []
        for each in schemas:
            if isinstance(part, str) and part in each.model_fields:
                inner += _schemas(each.model_fields[part].annotation)
        if inner:
            schemas = inner
        elif isinstance(part, str):  # the tag of a union
            schemas = [each for each in schemas if _tag(each) == part] or schemas
    return {field.alias or name for each in schemas for name, field in each.model_fields.items()}


def _tag(schema: type[BaseModel]) -> str | None:
    field = schema.model_fields.get("stage")
    return get_args(field.annotation)[0] if field else None


def _schemas(annotation: Any) -> list[type[BaseModel]]:
    """The schemas inside an annotation such as `tuple[A | B, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [schema for inner in get_args(annotation) for schema in _schemas(inner)]
