"""Names of a bundle's files: below its folder, and one file each on every system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

LONGEST, DEEPEST = 200, 8
"""Characters of a name and parts of it: well within what every system takes below a folder of its own."""

PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Devices on Windows, whatever their ending (Microsoft, "Naming Files, Paths, and Namespaces")."""


def wrong(name: str) -> str | None:
    """Why no file of a bundle may be called so; None where it may."""
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "must lie below the bundle's folder, got an absolute path"
    parts = name.split("/")
    if ".." in parts or "..\\" in name:
        return "must lie below the bundle's folder, got '..' in it"
    if len(name) > LONGEST or len(parts) > DEEPEST:
        return f"must have at most {LONGEST} characters and {DEEPEST} parts, got {len(name)} and {len(parts)}"
    for part in parts:
        if not PART.fullmatch(part) or part.endswith("."):
            return f"must be made of letters, digits and _ . + - (none of . + - first, no . last), got {part!r}"
        if RESERVED.fullmatch(part):
            return f"must not be a device's name on Windows, got {part!r}"
    return None


def clashes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs that are one file on some system: twice the same, but for capitals, or a file that is also a folder."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        folded = name.lower()
        if folded in seen:
            yield seen[folded], name
        elif folded in folders:
            yield folders[folded], name
        seen.setdefault(folded, name)
        place = folded
        while "/" in place:
            place = place.rpartition("/")[0]
            if place in seen:
                yield seen[place], name
            folders.setdefault(place, name)
