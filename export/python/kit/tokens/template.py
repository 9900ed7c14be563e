"""What stands around the tokens of a text, or of two: special tokens, and which part each token is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kit.errors import BrokenError


class Place(NamedTuple):
    """A special token, or where the tokens of a text go.

    Attributes:
        ids: Of the special token; empty for a text.
        sequence: Which text: 0 or 1; None for a special token.
        type_id: What its tokens' type is.
    """

    ids: Sequence[int]
    sequence: int | None
    type_id: int


class Template(NamedTuple):
    """What stands where.

    Attributes:
        single: The places for one text.
        pair: For two.
        further: For two, in the windows after the first: there the library leaves the types as they were before.
        trims: Whether a token covers the spaces within it no more.
    """

    single: Sequence[Place]
    pair: Sequence[Place]
    further: Sequence[Place]
    trims: bool = False


A, B = Place((), 0, 0), Place((), 1, 0)


def added(places: Sequence[Place]) -> int:
    """How many special tokens there are."""
    return sum(len(place.ids) for place in places)


def template(said: Mapping[str, Any] | None) -> Template:
    """A tokenizer's `post_processor`.

    Raises:
        BrokenError: It is one that this kit does not know.
    """
    kind = said["type"] if said else "ByteLevel"
    if said is None or kind == "ByteLevel":
        pair = (A, B._replace(type_id=1))
        return Template((A,), pair, pair, bool(said) and said["trim_offsets"])
    if kind == "Sequence":
        made = [template(each) for each in said["processors"]]
        adding = [each for each in made if len(each.single) > 1]
        if len(adding) == 1:
            return adding[0]._replace(trims=any(each.trims for each in made))
        raise BrokenError(f"tokenizer.json: post_processor must have one that adds tokens, got {len(adding)}")
    if kind == "TemplateProcessing":
        pair = _places(said, "pair")
        further = [each if each.sequence is None else each._replace(type_id=each.sequence) for each in pair]
        return Template(_places(said, "single"), pair, further)
    if kind in ("BertProcessing", "RobertaProcessing"):
        first, last = (Place((said[name][1],), None, 0) for name in ("cls", "sep"))
        single = (first, A, last)
        if kind == "RobertaProcessing":
            pair = (*single, last, B, last)
            return Template(single, pair, pair, said["trim_offsets"])
        pair = (*single, B._replace(type_id=1), last._replace(type_id=1))
        return Template(single, pair, pair)
    raise BrokenError(f"tokenizer.json: post_processor must be a template, got {kind}")


def _places(said: Mapping[str, Any], name: str) -> Sequence[Place]:
    found = []
    for each in said[name]:
        ((kind, place),) = each.items()
        if kind == "Sequence":
            found.append(Place((), "AB".index(place["id"]), place["type_id"]))
        else:
            found.append(Place(tuple(said["special_tokens"][place["id"]]["ids"]), None, place["type_id"]))
    return tuple(found)
