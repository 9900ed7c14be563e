"""What the fields of a recording's lines must be (export/PROTOCOL.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from edgesft.spec.profile import Io

LONGEST = 60
"""Characters of a bad value that a message shows."""

LIMIT = 2**63
"""Integers are smaller: a difference below zero is a larger one where a device counts without a sign."""

IOS = get_args(Io)
"""Where inputs and outputs may lie."""

MISSING = object()
"""The value of a field that a line lacks."""

CLOCK = "the clock of the device jumped or is not monotonic"
"""What a message says of a duration that cannot be."""

Rule = Callable[[Any], str | None]
"""What a value must be and what it is, or None where it fits."""


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _rule(what: str, fits: Callable[[Any], bool]) -> Rule:
    return lambda value: None if fits(value) else f" must be {what}, got {shown(value)}"


def _optional(rule: Rule) -> Rule:
    return lambda value: None if value is None or value is MISSING else rule(value)


def _integer(value: Any, least: int = -LIMIT, most: int = LIMIT - 1) -> bool:
    return type(value) is int and least <= value <= most


def _text(value: Any) -> bool:
    # Escape sequences of a foreign file have no business on a terminal.
    return isinstance(value, str) and value.isprintable()


def _table(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(_text(name) and of(each) for name, each in value.items())


def _digest(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-fA-F]{64}", value))


def _placement(value: Any) -> bool:
    return _COUNTS(value) is None and sum(value.values()) > 0


def _duration(value: Any, sample: str = "") -> str | None:
    if type(value) is not int:
        return f" must be integer nanoseconds, got {shown(value)}{sample}"
    if 0 < value < LIMIT:
        return None
    return f" must be above 0, got {value} ns{sample}: {CLOCK}"


def _durations(value: Any) -> str | None:
    """The first sample that is wrong, and how many are."""
    if not isinstance(value, list):
        return f" must be a list of integer nanoseconds, got {shown(value)}"
    if not value:
        return " must hold at least one sample, got none"
    wrong = [found for place, each in enumerate(value, 1) if (found := _duration(each, f" in sample {place}"))]
    more = f" (and {len(wrong) - 1} more samples of this line)" if len(wrong) > 1 else ""
    return wrong[0] + more if wrong else None


def _machine(value: Any) -> str | None:
    """Fields that the fingerprint compares; a device may tell more."""
    if not isinstance(value, dict):
        return f" must be an object, got {shown(value)}"
    wrong = [f".{name}{found}" for name, rule in MACHINE.items() if (found := rule(value.get(name)))]
    return wrong[0] if wrong else None


_COUNT = _rule("an integer of at least 0", lambda value: _integer(value, 0))
_NUMBER = _rule("an integer of at least 1", lambda value: _integer(value, 1))
_ANY_INTEGER = _rule("an integer", _integer)
_WORD = _rule("text", lambda value: _text(value) and bool(value.strip()))
_COUNTS = _rule("an object of integers", _table(lambda value: _integer(value, 0)))

MACHINE: Mapping[str, Rule] = {
    "cores": _optional(_NUMBER),
    "instructions": _optional(
        _rule("a list of text", lambda value: isinstance(value, list) and all(map(_text, value)))
    ),
    **dict.fromkeys(("architecture", "system", "model", "board", "governor"), _optional(_rule("text", _text))),
}
"""Field of the machine → what it must be."""

FIELDS: Mapping[str, Mapping[str, Rule]] = {
    "info": {"protocol": _NUMBER, "runtime": _WORD, "machine": _machine, "runtime_bytes": _optional(_COUNT)},
    "state": {
        "load": _optional(_rule("a number", lambda value: _integer(value) or type(value) is float)),
        "temperature_mc": _optional(_ANY_INTEGER),
        "frequency_khz": _optional(_COUNT),
        "throttles": _optional(_COUNT),
    },
    "load": {
        "load_ns": _duration,
        "provider": _optional(_WORD),
        "threads": _optional(_NUMBER),
        "placement": _optional(_rule("nodes by provider, or null where the runtime does not tell", _placement)),
        "partitions": _optional(_COUNT),
        "left": _optional(_COUNTS),
        "simulated": _optional(_WORD),
        "io": _optional(_rule("host or device", lambda value: value in IOS)),
    },
    "model": {
        "name": _WORD,
        "bytes": _NUMBER,
        "sha256": _optional(_rule("64 hexadecimal digits", _digest)),
    },
    "feedback": {"states": _optional(_rule("an object of text", _table(_text)))},
    "first": {"ns": _duration},
    "warm_up": {"samples": _COUNT, "stable": _rule("true or false", lambda value: isinstance(value, bool))},
    "time": {"ns": _durations, "batch": _optional(_NUMBER), "energy_uj": _optional(_COUNT)},
    "opening": {"ns": _durations},
    "paced": {
        "ns": _durations,
        "service_ns": _durations,
        "interval_ns": _optional(_NUMBER),
        "energy_uj": _optional(_COUNT),
    },
    "flight": {
        "ns": _durations,
        "wall_ns": _duration,
        "how": _WORD,
        "streams": _optional(_rule("an integer from 1 to 256", lambda value: _integer(value, 1, 256))),
        "energy_uj": _optional(_COUNT),
    },
    "memory": {"peak_bytes": _optional(_COUNT), "baseline_bytes": _optional(_COUNT)},
}
"""Operation of a recording → its fields → what each must be. What no reader needs may be anything."""
