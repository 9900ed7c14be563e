"""Patterns of a `tokenizer.json`, which Python's `re` cannot read as they are."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

from kit.errors import BrokenError
from kit.tokens import characters


def ranges(told: str) -> str:
    """Ranges in hexadecimal as a class of a regular expression has them."""
    ends = [[int(end, 16) for end in part.split("-")] for part in told.split()]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, *_, last in ([*each, each[-1]] for each in ends))


SPACE = ranges(characters.SPACE)

PIECE = re.compile(r"\\p\{\^?\w+\}|\\.|\[\^?|\]|.", re.DOTALL)
"""What a pattern is made of, as far as it matters: properties, escapes, the ends of classes, and all else."""


def compiled(said: Mapping[str, Any]) -> re.Pattern[str]:
    """What `pattern` says: a text as it is, or a regular expression.

    Raises:
        BrokenError: It is one that `re` does not have, either.
    """
    if "String" in said:
        return re.compile(re.escape(said["String"]))
    try:
        return re.compile("".join(_pieces(said["Regex"])))
    except (KeyError, re.error) as error:
        raise BrokenError(f"tokenizer.json: a pattern must be one that Python reads, got {said}: {error}") from error


def _pieces(pattern: str) -> list[str]:
    """A pattern with its properties, and the blanks that it means, written out."""
    found, inside = list[str](), False
    for piece in PIECE.findall(pattern):
        if piece.startswith("[") and not inside:
            inside = True
        elif piece == "]" and inside:
            inside = False
        elif piece.startswith("[") and inside:
            raise BrokenError(f"tokenizer.json: a pattern must have no classes in classes, got {pattern!r}")
        known = {"\\s": SPACE, "\\S": None}.get(piece, "")
        known = _property(piece[3:-1]) if piece.startswith("\\p{") else known
        if known is None:  # All but blanks: of a class they cannot be a part.
            if inside:
                raise BrokenError(f"tokenizer.json: a pattern must have no {piece} in a class, got {pattern!r}")
            found.append(f"[^{SPACE}]")
        else:
            found.append(piece if not known else known if inside else f"[{known}]")
    return found


@functools.cache
def _property(name: str) -> str:
    """Characters of a general category, or of all that begin with a letter, as a class has them."""
    told = [place for place in range(sys.maxunicode + 1) if unicodedata.category(chr(place)).startswith(name)]
    if not told:
        raise BrokenError(f"tokenizer.json: a pattern must name general categories, got {name}")
    found, first = [], told[0]
    for place, following in zip(told, [*told[1:], -1], strict=True):
        if following != place + 1:
            found.append(f"\\U{first:08x}-\\U{place:08x}")
            first = following
    return "".join(found)
