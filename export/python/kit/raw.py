"""The raw model of a bundle: what it is fed is a text or a picture as it is, and what it says is the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kit import picture
from kit.bundle import RAW, Bundle
from kit.errors import BrokenError, UnavailableError
from kit.model import Arrays
from kit.prepare import Preparation, Request, Row, text_of, value_of


def said_of(bundle: Bundle) -> Mapping[str, Any]:
    """What `raw.json` says.

    Raises:
        UnavailableError: The bundle has no raw model.
        BrokenError: It is not what it says.
    """
    if RAW not in bundle.sizes:
        raise UnavailableError("the bundle must have a raw model, got none: edgesft pack --raw")
    said = bundle.json(RAW)
    try:
        known = said["variant"]["file"] in bundle.sizes and said["inputs"][0]["name"] in READERS
    except (KeyError, TypeError, IndexError) as error:
        raise BrokenError(f"{RAW}: must have a variant and an input, got another form") from error
    if not known:
        raise BrokenError(f"{RAW}: must be of a file of the bundle, and read {', '.join(READERS)}")
    return said


def preparation(bundle: Bundle, said: Mapping[str, Any]) -> Preparation:
    """What makes a request of a raw row."""
    name, column = said["inputs"][0]["name"], bundle.contract["preparation"]["columns"][0]

    def prepare(row: Row) -> Iterator[Request]:
        yield Request({name: READERS[name](value_of(row, column))})

    return prepare


def answer(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The answer as a model's own outputs are decoded, of what the raw model says."""
    outputs, decoding = answers[0][1], contract["decoding"]
    labels, scores = outputs["label"].tolist(), outputs["score"].tolist()
    if decoding["kind"] == "tags":
        return [label or None for label in labels]
    found = [{"label": label, "score": score} for label, score in zip(labels, scores, strict=True)]
    if decoding["kind"] == "boxes":
        return {"boxes": [{**each, "box": box} for each, box in zip(found, outputs["box"].tolist(), strict=True)]}
    if decoding["kind"] == "heads":
        return {head["name"]: each for head, each in zip(decoding["heads"], found, strict=True)}
    return {**found[0], **({"known": bool(outputs["known"][0])} if "known" in outputs else {})}


def _text(value: Any) -> np.ndarray:
    return np.frombuffer(text_of(value).encode(), np.uint8)


def _words(value: Any) -> np.ndarray:
    words = value.split() if isinstance(value, str) else [text_of(str(each)) for each in value]
    return _text("\n".join(word.replace("\n", " ") for word in words))


def _picture(value: Any) -> np.ndarray:
    return picture.pixels_of(value)


READERS = {"text": _text, "words": _words, "picture": _picture}
"""Input → what makes it of a row's value."""
