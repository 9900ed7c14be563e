"""A gate as Markdown, for a comment on a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgesft.report.lines import STATES, clean, figures, gate, state, subject, tally, verdict

LIMIT = 60_000
"""Characters; GitHub takes 65,536 in a comment and refuses a longer one as a whole."""

LONGEST = 600
"""Characters of a verdict with its reason, so that one long reason does not crowd the others out."""

FRAME = 500
"""More characters than a page takes besides its heading, its rows and its notes."""

SPECIAL = re.compile(r"[\\`*\[\]|~#$@]|(?<!\w)_|_(?!\w)")
"""What Markdown, or GitHub in it, takes for something else than itself."""

HEADINGS = {"pass": "✅ {} passed", "fail": "❌ {} failed", "inconclusive": "❔ {} is inconclusive"}


def markdown(document: Mapping[str, Any]) -> str:
    """A comment that can be found again: a hidden marker, then `page`.

    Args:
        document: `GateDocument.to_json()`.

    Returns:
        At most `LIMIT` characters.
    """
    mark = marker(document)
    return f"{mark}\n{page(document, LIMIT - len(mark) - 1)}"


def marker(document: Mapping[str, Any]) -> str:
    """`<!-- edgesft:edgesft/check:model.onnx -->`: the same for every run on a subject of this name."""
    # A comment of HTML ends at its first `-->`, and a marker is one line.
    name = re.sub(r"[\r\n>]|(?<=-)-", lambda found: f"%{ord(found[0]):02X}", clean(document["subject"]["name"]))
    return f"<!-- edgesft:{document['schema']}:{name} -->"


def page(document: Mapping[str, Any], limit: int = LIMIT) -> str:
    """Heading, table and notes as Markdown.

    Args:
        document: `GateDocument.to_json()`.
        limit: Most characters. Where they do not suffice, lines that passed go first, and a sentence says how many did.
    """
    heading = HEADINGS[document["verdict"]].format(gate(document))
    head = f"## {heading}: {escaped(subject(document))}\n\n{tally(document)}\n\n"
    room = limit - len(head) - FRAME
    lines = document["lines"]
    ranks = [tuple(STATES).index(state(line)) for line in lines]
    rows = _fitting([_row(line) for line in lines], room, ranks)
    room -= sum(len(row) + 1 for row in rows)
    notes = [f"- {escaped(note)}" for note in _notes(document)]
    told = _fitting(notes, room, [0] * len(notes))
    return head + _table(rows, len(lines) - len(rows)) + _details(told, len(notes) - len(told))


def _table(rows: Sequence[str], gone: int) -> str:
    top = ["| line | limit | value | interval | verdict |", "| :-- | --: | --: | --: | :-- |"] if rows else []
    return "".join(f"{row}\n" for row in [*top, *rows]) + _left_out("lines", gone) + ("\n" if rows else "")


def _details(notes: Sequence[str], gone: int) -> str:
    told = "".join(f"{note}\n" for note in notes)
    return f"<details><summary>How it was found</summary>\n\n{told}{_left_out('notes', gone)}\n</details>\n"


def _left_out(what: str, gone: int) -> str:
    return f"\nLeft out here for length: {gone} {what}. The JSON output has them all.\n" if gone else ""


def _fitting(texts: Sequence[str], room: int, ranks: Sequence[int]) -> list[str]:
    """As many of the texts as fit, those of low rank before others, in the order in which they stand."""
    kept = set()
    for place in sorted(range(len(texts)), key=lambda place: ranks[place]):
        room -= len(texts[place]) + 1
        if room < 0:
            break
        kept.add(place)
    return [texts[place] for place in sorted(kept)]


def _row(line: Mapping[str, Any]) -> str:
    words = verdict(line)
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    told = escaped(words)
    if state(line) in ("fail", "inconclusive"):
        told = f"**{line['verdict']}**{told.removeprefix(line['verdict'])}"
    return f"| {' | '.join([escaped(line['name']), *figures(line), told])} |"


def _notes(document: Mapping[str, Any]) -> list[str]:
    commit = f", commit {document['commit'][:12]}" if document.get("commit") else ""
    profile = f", profile {document['profile']}" if document.get("profile") else ""
    return [*document["notes"], f"edgesft {document['edgesft']}{profile}{commit}, {document['created']}"]


def escaped(text: str) -> str:
    """Text as itself, in one line: no markup, no table's border, no mention of anybody."""
    plain = html.escape(clean(text), quote=False)
    safe = SPECIAL.sub(lambda found: "@\u200b" if found[0] == "@" else f"\\{found[0]}", plain)
    return " ".join(safe.split())
