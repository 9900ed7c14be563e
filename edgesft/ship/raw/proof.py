"""Whether a raw model does what training did: its feeds and its answers, row by row, against the project's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesft.data.media import medium
from edgesft.data.media.image import detections
from edgesft.data.media.images import WHOLE as WHOLE_PICTURE
from edgesft.data.media.images import reader_of
from edgesft.errors import StageError
from edgesft.measure.parity import tolerance
from edgesft.ship.raw import edge_cases
from edgesft.ship.raw.wanted import Wanted
from edgesft.ship.raw.whole import MODEL, PICTURE, WORDS
from edgesft.ship.wiring import Answer
from edgesft.tasks import token_classification as tagging
from edgesft.tasks.base import Example, Row
from edgesft.tasks.metrics import calibration, classification
from edgesft.tasks.models import source

MOST_ROWS = 2000
"""Rows of the run's split that are looked at, evenly spaced where it has more."""

EDGE = 1e-5
"""How near the threshold a score may be on either side of it: it is a validation row's own, in single precision."""

LEVEL = 1.01
"""Levels of grey, of 255, by which a pixel may be off: one, and what float32 rounds."""

NAMED = 5
"""Rows that a message names."""


@dataclass(frozen=True)
class Case:
    """A raw input.

    Attributes:
        name: The number of a row within its split, or what is hard about it.
        given: What the raw model is fed.
        row: The same as the task reads it.
    """

    name: str
    given: np.ndarray
    row: Row


@dataclass(frozen=True)
class Held:
    """A case that was held against the project's own preparation and answer.

    Attributes:
        case: What was.
        outputs: What the raw model answered.
        fed: How far its feeds are off: tokens that differ, or levels of grey; infinite where shapes differ.
        off: How far its probabilities are off.
        same: Whether the rest of the answer is the same.
    """

    case: Case
    outputs: Mapping[str, np.ndarray]
    fed: float
    off: float
    same: bool

    def holds(self, allowed: float, within: float) -> bool:
        """Whether feeds and probabilities are within what is allowed, and the rest of the answer is the same."""
        return self.same and self.fed <= allowed and self.off <= within


@dataclass(frozen=True)
class Proof:
    """What was held against training.

    Attributes:
        split: Of the rows.
        count: Rows that it has.
        rows: Those that were looked at.
        hard: Hard inputs.
        allowed: How far feeds may be off.
        within: How far probabilities may be off: as far as the golden rows' outputs of the model's precision.
    """

    split: str
    count: int
    rows: Sequence[Held]
    hard: Sequence[Held]
    allowed: float
    within: float

    def right(self) -> list[Held]:
        """The hard inputs that hold."""
        return [each for each in self.hard if each.holds(self.allowed, self.within)]

    def check(self) -> None:
        """Whether all rows hold; of the hard inputs it is only told.

        Raises:
            StageError: One does not.
        """
        for what, wrong in (
            ("fed as training fed them", [each for each in self.rows if each.fed > self.allowed]),
            (
                f"answered within {self.within:g} of the model's own probabilities",
                [each for each in self.rows if each.off > self.within],
            ),
            ("answered with the model's own labels", [each for each in self.rows if not each.same]),
        ):
            if wrong:
                names = ", ".join(each.case.name for each in wrong[:NAMED])
                more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
                message = (
                    f"rows of the {self.split} split must be {what}, got others of {len(wrong)} of {len(self.rows)}"
                )
                raise StageError(f"{message}: {names}{more}, counted from 0")

    def to_json(self) -> dict[str, Any]:
        """JSON form, part of `raw.json`."""
        return {
            "split": self.split,
            "split_rows": self.count,
            "rows": self._told(self.rows),
            "hard": {
                **self._told(self.hard),
                "differing": [each.case.name for each in self.hard if not each.holds(self.allowed, self.within)],
            },
        }

    def _told(self, held: Sequence[Held]) -> dict[str, Any]:
        return {
            "count": len(held),
            "same_feeds": sum(each.fed == 0 for each in held),
            "same_answers": sum(each.same and each.off <= self.within for each in held),
            "worst_score": round(max((each.off for each in held if np.isfinite(each.off)), default=0.0), 7),
        }


@dataclass(frozen=True)
class Answers:
    """What answers feeds.

    Attributes:
        front: With the feeds that the raw model makes of a raw input.
        model: The run's model.
        raw: The raw model.
    """

    front: Answer
    model: Answer
    raw: Answer


def prove(wanted: Wanted, reads: str, answers: Answers) -> Proof:
    """Holds a raw model against the project's own preparation and decoding.

    Args:
        wanted: Of which run.
        reads: What the raw model's input is called.
        answers: Its parts.

    Raises:
        InputError: The rows are not there any more.
    """
    job, said, contract = wanted.job, wanted.said, wanted.contract
    split, rows = ("test", job.splits.test) if job.splits.test else ("validation", job.splits.validation)
    processor = job.task.load_processor(source.resolve(str(wanted.model.parent.absolute()), job.base), contract)
    level = _level(said["preparation"]) if reads == PICTURE else 1.0

    def held(case: Case) -> Held:
        example = job.task.encode([case.row], processor, contract)[0]
        (feeds,) = job.task.requests([example], processor)
        outputs = answers.raw({reads: case.given})
        expected = answer(said, answers.model(feeds), example)
        off = _apart(outputs, expected)
        same = all(np.array_equal(outputs[name], each) for name, each in expected.items() if each.dtype.kind != "f")
        return Held(case, outputs, _fed(feeds, answers.front({reads: case.given}), level), off, same)

    places = np.unique(np.linspace(0, len(rows) - 1, min(MOST_ROWS, len(rows))).round().astype(int))
    real = [held(_case(str(place), reads, rows[int(place)])) for place in places]
    odd = [held(case) for case in _hard(reads)]
    return Proof(split, len(rows), real, odd, LEVEL if reads == PICTURE else 0.0, tolerance(wanted.precision))


def answer(said: Mapping[str, Any], outputs: Mapping[str, np.ndarray], example: Example) -> dict[str, np.ndarray]:
    """What a raw model must answer where its model answers `outputs`, computed as the evaluation of a run does.

    Without `known` where the score is the threshold itself: then either is right.
    """
    decoding, labels = said["decoding"], np.asarray([*said["labels"], ""], object)
    if decoding["kind"] == "boxes":
        return _seen(decoding, labels, outputs)
    logits = calibration.finite(outputs[decoding["output"]][0].reshape(-1, decoding["classes"]))
    if decoding["kind"] == "tags":
        firsts = example[tagging.WORDS]
        best, chances = logits.argmax(axis=1), classification.probabilities(logits)
        label = labels[np.where(firsts < 0, -1, best[firsts])]
        return {"label": label, "score": np.where(firsts < 0, 0, chances.max(axis=1)[firsts])}
    if decoding["kind"] == "heads":
        parts = [(head["first"], head["first"] + head["classes"]) for head in decoding["heads"]]
        best = [first + int(logits[0, first:last].argmax()) for first, last in parts]
        names = [
            labels[place].removeprefix(f"{head['name']}/") for place, head in zip(best, decoding["heads"], strict=True)
        ]
        sure = [classification.probabilities(logits[:, first:last]).max() for first, last in parts]
        return {"label": np.asarray(names, object), "score": np.asarray(sure)}
    chances = classification.probabilities(logits / decoding["temperature"])[0]
    best = int(logits[0].argmax())
    found = {"label": labels[[best]], "score": chances[[best]], "scores": chances}
    if unknown := said["thresholds"].get("unknown"):
        known, least = calibration.known(logits), unknown["accept_above"]
        if not np.isclose(known, least, EDGE, EDGE).all():
            found["known"] = known >= least
    return found


def _seen(decoding: Mapping[str, Any], labels: np.ndarray, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Boxes, as `tasks.object_detection` reads them."""
    names = {"logits": decoding["output"], "pred_boxes": decoding["boxes"], "kept": decoding.get("kept")}
    own = {name: outputs[called][0] for name, called in names.items() if called}
    found = detections(own, decoding["classes"], iou=decoding["iou"], most=decoding["most"])
    found = found[found[:, 4] >= decoding["least_score"]]
    box = np.concatenate([found[:, :2] - found[:, 2:4] / 2, found[:, 2:4]], axis=1)
    return {"label": labels[found[:, 5].astype(int)], "score": found[:, 4], "box": box}


def _case(name: str, reads: str, row: Row) -> Case:
    """A row of the run."""
    if reads == PICTURE:
        return Case(name, np.ascontiguousarray(reader_of(WHOLE_PICTURE).pixels(medium.source(row["image"]))), row)
    if reads == WORDS:
        parted = [each.replace("\n", " ") for each in tagging.words(row["tokens"])]
        return Case(name, encoded("\n".join(parted)), {**row, "tokens": parted})
    return Case(name, encoded(row["text"]), row)


def encoded(text: str) -> np.ndarray:
    """A text as a raw model takes it."""
    return np.frombuffer(text.encode("utf-8", "replace"), np.uint8)


def _hard(reads: str) -> Iterator[Case]:
    """What a row may also be."""
    if reads == PICTURE:
        for name, pixels in edge_cases.pictures().items():
            yield Case(name, pixels, {"image": pixels[..., 0] if pixels.shape[2] == 1 else pixels})
        return
    for name, text in edge_cases.TEXTS.items():
        if reads != WORDS:
            yield Case(name, encoded(text), {"text": text})
        elif parted := text.split():
            yield Case(name, encoded("\n".join(parted)), {"tokens": parted})


def _fed(expected: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray], level: float) -> float:
    """How far feeds are off; a feed that was padded to a size counts as far as there was a row."""
    worst = 0.0
    for name, ours in expected.items():
        theirs = got[f"{MODEL}{name}"]
        if theirs.ndim == 2 and theirs.shape[1] > ours.shape[1] and not theirs[:, ours.shape[1] :].any():
            theirs = theirs[:, : ours.shape[1]]
        if ours.shape != theirs.shape:
            return float("inf")
        apart = np.abs(ours.astype(np.float64) - theirs)
        worst = max(
            worst, float(np.count_nonzero(apart) if ours.dtype.kind in "iu" and ours.ndim == 2 else apart.max())
        )
    return worst / level


def _level(said: Mapping[str, Any]) -> float:
    """What one level of grey is in the feed."""
    scale = 1.0 if said["scale"] is None else said["scale"]
    return float(scale / np.max(1.0 if said["std"] is None else said["std"]))


def _apart(got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Greatest difference of probabilities."""
    pairs = [(got[name], each) for name, each in expected.items() if each.dtype.kind == "f"]
    if any(one.shape != other.shape for one, other in pairs):
        return float("inf")
    return max((float(np.abs(one - other).max()) for one, other in pairs if one.size), default=0.0)
