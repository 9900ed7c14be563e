"""In what the recipes of several runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def differences(recipes: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Dotted key → its value in each recipe, of the keys that are not the same in all; None where one lacks it.

    Stages are told apart by their names, or else their kinds, so that one more of them moves nothing.
    """
    flat = [dict(_flat(recipe, "")) for recipe in recipes]
    keys = dict.fromkeys(key for each in flat for key in each)
    told = {key: [each.get(key) for each in flat] for key in keys}
    return {key: values for key, values in told.items() if len({json.dumps(value) for value in values}) > 1}


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        seen: dict[str, int] = {}
        for place, inner in enumerate(value):
            name = str(inner.get("name") or inner.get("stage") or place) if isinstance(inner, Mapping) else str(place)
            seen[name] = seen.get(name, 0) + 1
            yield from _flat(inner, f"{key}.{name}{f'-{seen[name]}' if seen[name] > 1 else ''}")
    else:
        yield key, value
