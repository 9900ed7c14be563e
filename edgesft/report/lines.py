"""What every output of a gate says alike: a line in words, where its limit stands, and how many there are of a kind."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

State = Literal["fail", "inconclusive", "accepted", "pass", "shown"]
"""A line's verdict as the whole gate counts it: a failure may be accepted, and a line may be shown only."""

STATES: Mapping[State, str] = {
    "fail": "failed",
    "inconclusive": "inconclusive",
    "accepted": "accepted",
    "pass": "passed",
    "shown": "only shown",
}
"""State → the word to count it by, the worst first."""

UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold (section 2.2, Char), and the C1 controls, which some terminals obey."""

ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Environment variables in which CI services say where the repository is checked out."""

DIGITS = range(4, 10)
"""Significant digits of a figure: as few as show that it is not its limit."""


class Figures(NamedTuple):
    """A line's figures as people read them.

    Attributes:
        limit: What must hold.
        value: What was found, `–` where nothing was.
        interval: `5.9 to 6.3`, or `–` where there are no bounds.
    """

    limit: str
    value: str
    interval: str


def clean(text: str) -> str:
    """Text that no reader chokes on: control characters and halves of characters become `U+FFFD`."""
    return UNPRINTABLE.sub("\ufffd", text)


def state(line: Mapping[str, Any]) -> State:
    """How the gate counts a line."""
    if not line.get("gates", True):
        return "shown"
    if line.get("accepted"):
        return "accepted"
    found: State = line["verdict"]
    return found


def figure(value: float | None, digits: int = DIGITS.start) -> str:
    """`3.142`, `22,713,216`: whole numbers whole, others with so many significant digits, `–` for none."""
    if value is None:
        return "–"
    if not 1e-4 <= abs(value) < 1e15 and value != 0:
        return f"{value:.{digits}g}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:,.0f}"


def figures(line: Mapping[str, Any]) -> Figures:
    """Limit, value and interval, with digits enough that 10.0004 is not shown as a limit of 10 that it exceeds."""
    limit, value, lower, upper = (line[name] for name in ("limit", "value", "lower", "upper"))
    others = [each for each in (value, lower, upper) if each is not None and each != limit]
    apart = (n for n in DIGITS if all(figure(each, n) != figure(limit, n) for each in others))
    digits = next(apart, DIGITS.start)
    low, high = figure(lower, digits), figure(upper, digits)
    if lower is None and upper is None:
        interval = "–"
    elif lower is None or upper is None:
        interval = f"{high} or less" if lower is None else f"{low} or more"
    else:
        interval = f"{low} to {high}"
    return Figures(figure(limit, digits), figure(value, digits), interval)


def verdict(line: Mapping[str, Any]) -> str:
    """`fail, slower: the reason`, `pass, accepted: why`, `fail, only shown`."""
    change = line.get("change") if line["verdict"] != "inconclusive" else None
    shown = STATES["shown"] if state(line) == "shown" else None
    words = ", ".join(word for word in (line["verdict"], change, shown) if word)
    if line.get("accepted"):
        words += f", accepted: {line['accepted']}"
    return clean(f"{words}: {line['reason']}" if line.get("reason") else words)


def sentence(line: Mapping[str, Any]) -> str:
    """The whole line: `size_mb: got 12.3, the limit is 10`, then its interval, reason and acceptance where it has them.

    It does not say "above", for some limits are lower ones.
    """
    limit, value, interval = figures(line)
    got = "got no value" if line["value"] is None else f"got {value}"
    within = "" if interval == "–" else f" ({interval})"
    accepted = f"accepted: {line['accepted']}" if line.get("accepted") else None
    first = f"{line['name']}: {got}{within}, the limit is {limit}"
    return clean("; ".join(part for part in (first, line.get("reason"), accepted) if part))


def place(line: Mapping[str, Any]) -> tuple[str, int] | None:
    """File and line of a line's limit; the file as seen from the repository, where it lies in it."""
    found = line.get("place")
    return (path(found["file"]), found["line"]) if found else None


def path(file: str) -> str:
    """A file as seen from the top of the repository that CI checked out, else from here, with forward slashes.

    Services put what is said of a file beside it only under that name; a file elsewhere keeps its own.
    """
    given = Path(file.replace("\\", "/"))
    root = next((os.environ[name] for name in ROOTS if os.environ.get(name)), ".")
    try:
        # Not the file itself: a link into the repository is the repository's.
        return (given.parent.resolve() / given.name).relative_to(Path(root).resolve()).as_posix()
    except (ValueError, OSError, RuntimeError):  # Elsewhere, or links that go round in circles.
        return given.as_posix()


def gate(document: Mapping[str, Any]) -> str:
    """`edgesft check`."""
    return str(document["schema"]).replace("/", " ")


def subject(document: Mapping[str, Any]) -> str:
    """`model.onnx`, or `candidate.onnx against baseline.onnx`."""
    baseline = document.get("baseline")
    name = clean(document["subject"]["name"])
    return f"{name} against {clean(baseline['name'])}" if isinstance(baseline, Mapping) else name


def tally(document: Mapping[str, Any]) -> str:
    """`5 lines: 1 failed, 4 passed`, the worst first."""
    lines = document["lines"]
    if not lines:
        return "no lines: no limit was set"
    counts = Counter(state(line) for line in lines)
    told = ", ".join(f"{counts[each]} {word}" for each, word in STATES.items() if counts[each])
    return f"{len(lines)} {'line' if len(lines) == 1 else 'lines'}: {told}"


def machine(document: Mapping[str, Any]) -> str | None:
    """Model of the machine that measured, or its architecture; None where the document tells neither."""
    for holder in (document, document.get("measurement"), document.get("key")):
        found = holder.get("machine") if isinstance(holder, Mapping) else None
        if isinstance(found, Mapping) and (name := found.get("model") or found.get("architecture")):
            return clean(str(name))
    return None
