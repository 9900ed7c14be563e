"""What is known of a moment as slots, as the contract's `features` say (export/BUNDLE.md)."""

from __future__ import annotations

import datetime
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kit.errors import InputError

FIXED = {"hour": 24, "weekday": 7}


def slots(features: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> np.ndarray:
    """1 for each slot that a row has, else 0; float32 of shape [1, slots].

    Raises:
        InputError: A column is not there, or not what it must be. What is None or empty, or was never seen, is neither.
    """
    parts = []
    for feature in features:
        column, kind, values = (feature[key] for key in ("column", "kind", "values"))
        if column not in row:
            raise InputError(f"a row must have '{column}', or null where it is not known; got {', '.join(row)}")
        part = np.zeros(FIXED.get(kind) or len(values) + (kind == "number"), np.float32)
        found = row[column]
        if found not in (None, "") and found == found:
            part[_places(found, kind, values, column)] = 1
        parts.append(part)
    return np.concatenate(parts)[np.newaxis]


def _places(value: Any, kind: str, values: Sequence[Any], column: str) -> list[int]:
    if kind == "tags":
        parts = value if isinstance(value, list | tuple) else str(value).split("|")
        return [values.index(text) for part in parts if (text := _text(part, column)) in values]
    if kind == "category":
        return [values.index(text)] if (text := _text(value, column)) in values else []
    if kind == "number":
        return [bisect_right(values, _number(value, column))]
    seconds = _seconds(value, column)
    return [int(seconds // 3600 % 24 if kind == "hour" else (seconds // 86_400 + 3) % 7)]


def _text(value: Any, column: str) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | np.integer):
        raise InputError(f"'{column}' must be a text or a whole number, got {value!r}")
    return str(value).strip()


def _number(value: Any, column: str) -> float:
    found = _float(value)
    if not math.isfinite(found):
        raise InputError(f"'{column}' must be a number, got {value!r}")
    return found


def _float(value: Any) -> float:
    """NaN for what is no number, or too large a one."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _seconds(value: Any, column: str) -> float:
    found = _float(value)
    if math.isfinite(found):
        return found
    try:
        when = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"'{column}' must be seconds since 1970 or an ISO date, got {value!r}") from None
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
