"""What a JSON value must look like, for files that anybody may have written; pydantic would take longer than hashing.

A shape is `str`, `bool`, `int` or `float` (no booleans; a float may be whole); a `range` for whole numbers within it;
a set of texts, of which it must be one; a compiled pattern, for texts that match; a list with the shape of its
elements; a dictionary with the shape of each key, of which one that ends in `?` may be missing and no other may be
there; `Each`, an object of any keys; or a tuple of shapes, one of which it has. None is null.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NATURAL, POSITIVE = range(2**53), range(1, 2**53)
"""Whole numbers that every reader of JSON has (RFC 8785, section 3.2.2.3)."""


@dataclass(frozen=True)
class Each:
    """An object of any keys.

    Attributes:
        value: Shape of its values.
        key: What its keys match.
    """

    value: Any
    key: re.Pattern[str] = re.compile(r".*", re.DOTALL)


def wrong(value: Any, shape: Any, at: str = "") -> Iterator[str]:
    """Where a value has another shape: what it must be, and what it got."""
    if isinstance(shape, tuple):
        if not any(not next(wrong(value, each), "") for each in shape):
            yield _must(at, _word(shape), value)
    elif isinstance(shape, dict):
        yield from _object(value, shape, at)
    elif isinstance(shape, Each):
        if not isinstance(value, dict) or not all(shape.key.fullmatch(key) for key in value):
            yield _must(at, "an object", value)
        else:
            for key, inner in value.items():
                yield from wrong(inner, shape.value, _inside(at, key))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield _must(at, "a list", value)
        else:
            for place, inner in enumerate(value):
                yield from wrong(inner, shape[0], _inside(at, str(place)))
    elif not _is(value, shape):
        yield _must(at, _word(shape), value)


def _object(value: Any, shape: dict[str, Any], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _must(at, "an object", value)
        return
    known = {key.removesuffix("?"): inner for key, inner in shape.items()}
    for key in known:
        if key not in value and key in shape:
            yield f"{_inside(at, key)} must be there, got none"
    for key, inner in value.items():
        if key in known:
            yield from wrong(inner, known[key], _inside(at, key))
        else:
            yield f"{_inside(at, key)} must not be there, got {_shown(inner)}"


def _is(value: Any, shape: Any) -> bool:
    if shape is None:
        return value is None
    if shape is float:
        # A whole number may be larger than any float, and `math.isfinite` fails on it.
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    if isinstance(shape, type):
        return type(value) is shape
    if isinstance(shape, range):
        return type(value) is int and value in shape
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and bool(shape.fullmatch(value))
    return isinstance(value, str) and value in shape


def _word(shape: Any) -> str:
    if isinstance(shape, tuple):
        return " or ".join(map(_word, shape))
    if isinstance(shape, range):
        return f"a whole number from {shape.start} on" if shape.stop == 2**53 else f"{shape.start} to {shape.stop - 1}"
    if isinstance(shape, re.Pattern):
        return f"a text like {shape.pattern}"
    if isinstance(shape, set | frozenset):
        return f"one of {', '.join(sorted(shape))}"
    if isinstance(shape, dict | Each):
        return "an object"
    if isinstance(shape, list):
        return f"a list of {_word(shape[0])}"
    return {str: "a text", int: "a whole number", float: "a number", bool: "true or false", None: "null"}[shape]


def _must(at: str, what: str, value: Any) -> str:
    return f"{at or 'it'} must be {what}, got {_shown(value)}"


def _inside(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
