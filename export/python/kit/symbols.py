"""A text as numbers of its symbols, as the contract's `preparation` says (export/BUNDLE.md, "Speech")."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from kit.errors import InputError


def numbers(text: str, said: Mapping[str, Any]) -> list[int]:
    """Of a text's symbols, between two edges.

    Raises:
        InputError: The text is blank or too long, or has symbols that are to be refused.
    """
    composed = unicodedata.normalize("NFC", text)
    words = (composed.lower() if said["lower"] else composed).split()
    found = words if said["units"] == "words" else list(" ".join(words))
    if not 1 <= len(found) <= said["longest"]:
        raise InputError(f"a text must be of 1 to {said['longest']} {said['units']}, got {len(found)}")
    known = {symbol: said["first"] + place for place, symbol in enumerate(said["symbols"])}
    kept = [known[each] for each in found if each in known]
    if len(kept) < len(found) and (said["unseen"] == "refuse" or not kept):
        strange = ", ".join(sorted({repr(each) for each in found if each not in known}))
        raise InputError(f"a text must be of symbols that the model knows, got {strange}")
    return [said["edge"], *kept, said["edge"]]
