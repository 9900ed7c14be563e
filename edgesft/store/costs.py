"""Time and disk that steps took, one line each, from which later plans are estimated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FILE = "costs.jsonl"

MOST_BYTES = 4_000_000
"""Beyond it, about twenty thousand lines, the older half goes."""


@dataclass(frozen=True)
class Cost:
    """What one step took.

    Attributes:
        kind: Of the step: a stage's kind, `evaluation` or `latency`.
        seconds: Wall-clock.
        bytes: What it left in the store.
        amount: How much there was to do, in units of the kind.
        model: Digest of the pretrained model.
        parameters: Of the pretrained model; None where its files do not tell.
        machine: What the time depends on besides.
    """

    kind: str
    seconds: float
    bytes: int
    amount: float
    model: str
    parameters: int | None
    machine: str


def note(root: Path, cost: Cost) -> None:
    """Adds a line; that it cannot be written is no reason to lose what the step made."""
    place = root / FILE
    try:
        if place.is_file() and place.stat().st_size > MOST_BYTES:
            lines = place.read_text("utf-8").splitlines(keepends=True)
            place.write_text("".join(lines[len(lines) // 2 :]), "utf-8")
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cost)) + "\n")
    except OSError:
        return


def read(root: Path) -> Sequence[Cost]:
    """All that is known, the oldest first; lines that a killed process cut short, or another version wrote, are not."""
    place = root / FILE
    if not place.is_file():
        return ()
    names, found = {field.name for field in fields(Cost)}, []
    for line in place.read_text("utf-8", errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and set(said) == names:
            found.append(Cost(**said))
    return found
