"""Reads the lines that an agent recorded on a device, and checks them against the protocol (export/PROTOCOL.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, Problem
from edgesft.measure.agent import PROTOCOL
from edgesft.measure.fields import CLOCK, FIELDS, MISSING, shown

SERIES = ("time", "paced", "flight")
"""Operations that make the samples of a recording."""

OPENING = "opening"
"""Operation that times what begins answers of many inferences each, which a series then times."""

RAW = ("spans", "pipelined")
"""Operations on raw rows, which a recording does not have."""

ONCE = ("load", "model", "first", "warm_up", "memory")
"""Operations that a recording has at most once."""

NEEDED = ("load", "model", "first")
"""Operations that a recording has, besides a series."""

ORDER = ("load", "first", "warm_up", "series")
"""A first inference is the first after loading, and samples are taken when the model is warm."""

SETTINGS = {"paced": "interval_ns", "flight": "streams"}
"""What a series says of how its requests came, if the device tells."""

MOST = 10
"""Problems of one file that are told; a file of another kind has one a line."""

MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""

MONOTONIC = "take a clock that never goes back, and is fine enough for one inference (steady_clock, System.nanoTime)"
WRITE = "let the device write it: python agent.py MODEL --inputs rows.npz > FILE"
AGAIN = "copy the file again when the device is done, or leave out the part that is cut"


@dataclass(frozen=True)
class Answer:
    """One line.

    Attributes:
        line: From 1.
        op: What it answers.
        fields: What it says.
    """

    line: int
    op: str
    fields: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """The value of a field; None where the device does not tell."""
        return self.fields.get(name)


def groups(path: Path) -> list[list[Answer]]:
    """The lines of each recording of a file, in order; each begins with `info` and has all that makes a measurement.

    Raises:
        InputError: The file cannot be read, is cut short or holds something else; a line is not as the protocol says,
            follows a newer one, or says why the device could not do it; a recording lacks something, or tells two
            things at once. All such lines are named, and where there is none, all such recordings.
    """
    found: list[list[Answer]] = []
    for each in _answers(path):
        if each.op == "info" or not found:
            found.append([])
        found[-1].append(each)
    problems = [Problem(message, hint, f"{path}:{line}") for group in found for line, message, hint in _lacks(group)]
    if problems:
        raise InputError(problems)
    return found


def _answers(path: Path) -> list[Answer]:
    """Every line, in order; blank ones are left out."""
    found: list[Answer] = []
    problems: list[Problem] = []
    lines = _lines(path)
    for number, raw in lines:
        where = f"{path}:{number}"
        try:
            fields = _parsed(raw)
        except ValueError as error:
            cut = isinstance(error, _NoJson) and number == lines[-1][0] and _cut(raw)
            message = f"must be one JSON object in UTF-8, got {error}"
            problems.append(_cut_short(path, number, found) if cut else Problem(message, WRITE, where))
            continue
        if fields.get("op") == "info":
            _check_protocol(fields.get("protocol"), where)
        problems += [Problem(text, hint, where) for text, hint in _problems(fields)]
        found.append(Answer(number, str(fields.get("op")), fields))
    if len(problems) > MOST:
        problems = [*problems[:MOST], Problem(f"and {len(problems) - MOST} more problems", None, str(path))]
    if problems:
        raise InputError(problems)
    return found


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """Lines that are not blank, with their number and their end."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"measurements '{path}' must exist", WRITE) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"measurements '{path}' must be a file that can be read, got: {reason}", WRITE) from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        hint = "PowerShell's > writes that: use cmd, or | Out-File -Encoding utf8"
        raise InputError(f"measurements '{path}' must be UTF-8, got UTF-16", hint)
    every = enumerate(data.splitlines(keepends=True), 1)
    lines = [(number, line) for number, line in every if line.removeprefix(MARK).strip()]
    if not lines:
        raise InputError(f"measurements '{path}' must hold what an agent wrote by itself, got an empty file", WRITE)
    return lines


class _NoJson(ValueError):
    """What is there instead."""


def _parsed(raw: bytes) -> dict[str, Any]:
    """One line's object.

    Raises:
        ValueError: It is none; tells what it is.
    """
    try:
        # Files that were joined have a byte order mark each.
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _NoJson(f"byte {error.object[error.start]:#04x} as character {error.start + 1}") from None
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("values nested too deep") from None
    except json.JSONDecodeError:
        raise _NoJson(shown(text)) from None
    if not isinstance(value, dict):
        raise ValueError(shown(value))
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text}, which is no number there")
    return value


def _cut(raw: bytes) -> bool:
    """Whether a line that is no JSON lacks its end."""
    whole = raw.endswith((b"\n", b"\r")) and raw.rstrip().endswith(b"}")
    return raw.removeprefix(MARK).lstrip().startswith(b"{") and not whole


def _cut_short(path: Path, number: int, found: list[Answer]) -> Problem:
    whole = f"its last whole line was op '{found[-1].op}'" if found else "no line of it is whole"
    return Problem(
        f"measurements must end with a whole line, got them cut short at line {number}; {whole}", AGAIN, str(path)
    )


def _check_protocol(version: Any, where: str) -> None:
    """A newer protocol may mean something else by any line."""
    if type(version) is int and version > PROTOCOL:
        message = f"protocol must be at most {PROTOCOL}, which this edgesft reads, got {version}"
        raise InputError(Problem(message, "update edgesft here, or take its own agent there", where))


def _problems(fields: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """What is wrong with a line, and what to try."""
    op = fields.get("op", MISSING)
    if fields.get("error") is not None:
        # The device's own words may hold what cannot be printed.
        reason = str(fields["error"]).encode("utf-8", "replace").decode("utf-8")
        doing = f"could not do '{op}'" if isinstance(op, str) else "failed"
        yield f"the device must have measured the model, but it {doing}: {reason}", "mend that and measure again"
    elif not isinstance(op, str):
        yield f"op must be a word, got {shown(op)}", WRITE
    elif op in RAW:
        yield f"op must be {', '.join(SERIES)} for a series that is read back, got {op}", None
    else:
        for name, rule in FIELDS.get(op, {}).items():
            if wrong := rule(fields.get(name, MISSING)):
                yield f"{name}{wrong}", MONOTONIC if CLOCK in wrong else None


# One recording --------------------------------------------------------------------------------------------------------


def _lacks(group: Sequence[Answer]) -> Iterator[tuple[int, str, str | None]]:
    """Line, message and hint of what is wrong with a recording whose lines are each right."""
    begin = group[0].line
    if group[0].op != "info":
        yield begin, f"a recording must begin with 'info', got '{group[0].op}'", "keep the file's first lines"
    ops = [each.op for each in group]
    series = [op for op in SERIES if op in ops]
    lacking = [f"'{op}'" for op in NEEDED if op not in ops] + ([] if series else ["a series ('time')"])
    if lacking:
        hint = "write the lines of export/PROTOCOL.md; a run that was stopped early lacks the last ones"
        yield begin, f"the recording must have {', '.join(lacking)}, got only {', '.join(dict.fromkeys(ops))}", hint
    if len(series) > 1:
        hint = "begin each scenario with 'info' in a process of its own"
        yield begin, f"series must all be of one operation, got {', '.join(series)}", hint
    for op in ONCE:
        if ops.count(op) > 1:
            line = [each.line for each in group if each.op == op][1]
            yield line, f"'{op}' must stand once in a recording, got it again", "begin each recording with 'info'"
    yield from _out_of_order(group)
    for load in [each for each in group if each.op == "load"][:1]:
        yield from _unsaid(load)
    yield from _unlike_settings(group)


def _out_of_order(group: Sequence[Answer]) -> Iterator[tuple[int, str, str | None]]:
    reached = "load"
    for each in group:
        op = "series" if each.op in (*SERIES, OPENING) else each.op
        if op not in ORDER:
            continue
        if ORDER.index(op) < ORDER.index(reached):
            yield each.line, f"'{each.op}' must stand before the {reached}, got it after", f"write {' → '.join(ORDER)}"
            return
        reached = op


def _unsaid(load: Answer) -> Iterator[tuple[int, str, str | None]]:
    if provider(load) is None:
        told = load.get("placement")
        got = f"nodes on {', '.join(told)}" if told else "no placement either"
        hint = 'add "provider": "…ExecutionProvider", the one that was asked for, to this line'
        yield load.line, f"provider must be told by 'load', got {got}", hint
    if load.get("threads") is None:
        hint = 'add "threads": N, the intra-op threads of the session, to this line'
        yield load.line, "threads must be told by 'load', got nothing", hint


def _unlike_settings(group: Sequence[Answer]) -> Iterator[tuple[int, str, str | None]]:
    for op, name in SETTINGS.items():
        told = [(each.line, each.get(name)) for each in group if each.op == op]
        unlike = [(line, value) for line, value in told if value != told[0][1]]
        for line, value in unlike[:1]:
            yield line, f"{name} must be the same in all series, got {shown(told[0][1])} and {shown(value)}", None


def provider(load: Answer) -> str | None:
    """The provider that was asked for: as it is told, or the only one with nodes."""
    if load.get("provider"):
        return str(load.get("provider"))
    used = [name for name, nodes in (load.get("placement") or {}).items() if nodes]
    return used[0] if len(used) == 1 else None
