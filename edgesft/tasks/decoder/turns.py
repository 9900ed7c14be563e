"""A chat template as a table of the texts before, between and after messages, so that a device needs no Jinja.

In nearly all templates these depend only on the roles of the previous and the next message. The table is read off a few
rendered conversations, and used only where it reproduces all others that are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from edgesft.errors import InputError
from edgesft.tasks.decoder.conversation import ASSISTANT, ROLES, Message, rendered

START, END, ASKED = "start", "end", "asked"
"""Keys for the text before the first message, after a final answer, and before an answer that is asked for."""

SYSTEM, USER = "system", "user"

Turns = Mapping[str, Mapping[str, str]]
"""Role of a message → role of the next one → text between them."""

TAUGHT = ((USER,), (USER, ASSISTANT), (USER, ASSISTANT, USER), (SYSTEM, USER), (SYSTEM, USER, ASSISTANT))
"""Role sequences of the conversations that the table is read off."""

TRIED = (*TAUGHT, (USER, ASSISTANT) * 3, (SYSTEM, *(USER, ASSISTANT) * 3, USER))

BLANK = " \n"
"""Around what is said where it is found out whether a template cuts it off."""


def told(tokenizer: Any) -> dict[str, Any]:
    """`turns`, and `trimmed`, the roles whose messages are stripped of surrounding blanks. Empty for a template that
    cannot be written as a table.

    Args:
        tokenizer: Renders conversations.
    """
    turns: dict[str, dict[str, str]] = {}
    for roles in TAUGHT:
        for before, after, piece in _pieces(roles, tokenizer):
            turns.setdefault(before, {}).setdefault(after, piece)
    trimmed = [role for role in ROLES if _trims(role, tokenizer)]
    return {"turns": turns, "trimmed": trimmed} if _holds(turns, trimmed, tokenizer) else {}


def written(said: Sequence[Message], turns: Turns, trimmed: Sequence[str]) -> str | None:
    """A conversation written by a table, up to where an answer begins or after the last one; None if it lacks turns."""
    ends = _ends([each["role"] for each in said])
    joins = [turns.get(before, {}).get(after) for before, after in pairwise(ends)]
    words = [each["content"].strip() if each["role"] in trimmed else each["content"] for each in said]
    pieces = [piece for join in zip(joins, [*words, ""], strict=True) for piece in join]
    return None if None in pieces else "".join(map(str, pieces))


def _ends(roles: Sequence[str]) -> list[str]:
    return [START, *roles, END if roles[-1] == ASSISTANT else ASKED]


def _holds(turns: Turns, trimmed: Sequence[str], tokenizer: Any) -> bool:
    """Whether the table writes what the template renders; and what is before an answer begins with what asks for one,
    what is behind it with what ends one: so a conversation goes on where it was.
    """
    tried = [(_said(roles, around), roles) for roles in TRIED for around in ("", BLANK)]
    pairs = [(written(said, turns, trimmed), _rendered(said, tokenizer)) for said, _ in tried]
    same = all(mine == theirs for mine, theirs in pairs if theirs is not None)
    both = ((USER, ASKED), (ASSISTANT, END))
    known = all(name in turns.get(role, {}) for role, name in both)
    return (
        same
        and known
        and all(each.startswith(turns[role][name]) for role, name in both for each in turns[role].values())
    )


def _word(place: int) -> str:
    """Words that no template has of its own."""
    return f"Qx{place}Zj"


def _said(roles: Sequence[str], around: str = "") -> list[Message]:
    return [{"role": role, "content": f"{around}{_word(place)}{around}"} for place, role in enumerate(roles)]


def _rendered(said: Sequence[Message], tokenizer: Any) -> str | None:
    """What the template makes of it; None where it refuses, or what is said is not in it once and in order."""
    try:
        whole = rendered(said, tokenizer, asked=said[-1]["role"] != ASSISTANT)
    except InputError:
        return None
    places = [whole.find(_word(place)) for place in range(len(said))]
    once = all(whole.count(_word(place)) == 1 for place in range(len(said)))
    return whole if once and places == sorted(places) else None


def _pieces(roles: Sequence[str], tokenizer: Any) -> Iterator[tuple[str, str, str]]:
    """Pairs of roles and the text between their messages; nothing where the template refuses."""
    left = _rendered(_said(roles), tokenizer)
    if left is None:
        return
    for place, (before, after) in enumerate(pairwise(_ends(roles))):
        piece, _, left = left.partition(_word(place))
        yield before, after, piece


def _trims(role: str, tokenizer: Any) -> bool:
    """Whether a template strips the blanks around the messages of a role."""
    roles = next(each for each in TAUGHT if role in each)
    whole = _rendered(_said(roles, BLANK), tokenizer)
    return whole is not None and f"{BLANK}{_word(roles.index(role))}" not in whole
