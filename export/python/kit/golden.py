"""The golden rows: real inputs with the answers that a device must give, and how far it may be off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kit.errors import BrokenError
from kit.model import Arrays, Model, array
from kit.prepare import Preparation
from kit.writer import Course, Writer

SAID = ("scores", "tokens")
"""What golden rows of an answer that is said have, besides the scores of its first token and `margins`."""


class Golden:
    """The golden rows of a bundle."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Takes what `golden.json` says, or `raw.json` of its own.

        Raises:
            BrokenError: They are not what they say.
        """
        self._said = said
        try:
            self.inputs = [_arrays(row["inputs"]) for row in self._said["rows"]]
            self.raw = [row["row"] for row in self._said["rows"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenError(f"golden.json: must have rows of arrays, got: {error}") from error

    def check(self, model: Model, writer: Writer | None = None) -> Iterator[str]:
        """What of a model's answers is further off than it may be.

        Args:
            model: Any of the bundle.
            writer: What says its answers, where it does so token by token.
        """
        name = model.variant["golden"]
        known = self._said["tolerances"][name]
        limit = known.get(model.provider, known["*"])
        expected = [_arrays(row["outputs"][name]) for row in self._said["rows"]]
        outputs, got = model.outputs, [] if writer else [model(feeds) for feeds in self.inputs]
        if writer:
            outputs, pairs = [writer.decoding["output"], *SAID], zip(self.inputs, expected, strict=True)
            got = [_said(writer, feeds, each) for feeds, each in pairs]
            expected, got = _settled(expected, got, outputs[0], limit)
        for output in outputs:
            off = apart([each[output] for each in expected], [each[output] for each in got])
            # A token is the same or another.
            if not off <= (0 if output == "tokens" else limit):
                where = f"{model.variant['name']}: '{output}'"
                yield f"{where} must be within {limit:g} of its largest magnitude on {model.provider}, got {off:.2g}"

    def check_preparation(self, preparation: Preparation) -> Iterator[str]:
        """Rows of which this kit makes other inputs than were packed."""
        for place, (row, inputs) in enumerate(zip(self.raw, self.inputs, strict=True), 1):
            if row is None:
                continue
            (made,) = preparation(row)
            differ = [name for name, each in inputs.items() if not np.array_equal(each, made.feeds[name])]
            if differ:
                yield f"golden row {place}: {', '.join(differ)} must be what was packed, got another from the row"


def apart(expected: list[np.ndarray], got: list[np.ndarray]) -> float:
    """How far one output is off over all rows: as a share of its largest magnitude, or of the elements that differ."""
    if any(one.dtype != other.dtype or one.shape != other.shape for one, other in zip(expected, got, strict=True)):
        return float("inf")
    left, right = (np.concatenate([each.reshape(-1) for each in all_]) for all_ in (expected, got))
    if not left.size:
        return 0.0
    kind = left.dtype.kind
    if not (kind == "f" or (kind in "iu" and left.dtype.itemsize == 1)):
        return float((left != right).mean())
    left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):
        absolute = np.where(left == right, 0.0, np.abs(left - right)).max()
    magnitude = np.abs(left[np.isfinite(left)]).max(initial=0)
    if absolute == 0:
        return 0.0
    return float(absolute / magnitude) if magnitude else float("inf")


def _said(writer: Writer, feeds: Arrays, expected: Arrays) -> Arrays:
    """What a model answers where the golden tokens are said, whatever others are likelier."""
    (prompt,) = feeds.values()
    course, first, best, scores = Course(writer, prompt[0].tolist()), None, list[int](), list[float]()
    for place, token in enumerate(expected["tokens"]):
        each = course.scores(int(expected["tokens"][place - 1]) if place else None)
        first = each if first is None else first
        best.append(int(each.argmax()))
        scores.append(float(each[token]))
    numbers = {"scores": np.asarray(scores, np.float32), "tokens": np.asarray(best, np.int64)}
    return {writer.decoding["output"]: np.asarray(first), **numbers}


def _settled(expected: list[Arrays], got: list[Arrays], output: str, limit: float) -> tuple[list[Arrays], list[Arrays]]:
    """Both without tokens whose score was less than twice the tolerance above the next best one's."""
    least = 2 * limit * max(float(np.abs(each[output]).max()) for each in expected)
    sure = [each["margins"] > least for each in expected]

    def cut(rows: list[Arrays]) -> list[Arrays]:
        return [{**each, "tokens": each["tokens"][kept]} for each, kept in zip(rows, sure, strict=True)]

    return cut(expected), cut(got)


def _arrays(said: Mapping[str, Any]) -> Arrays:
    return {name: array(each) for name, each in said.items()}
