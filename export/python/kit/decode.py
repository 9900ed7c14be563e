"""Outputs → answer, as the contract's `decoding` says (export/BUNDLE.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kit.boxes import seen
from kit.errors import BrokenError, UnavailableError
from kit.frames import Adder
from kit.model import Arrays
from kit.prepare import Request

ELSEWHERE = ("diffusion", "latent")
"""Kinds that bundles may have and this kit does not: a picture is made of random numbers."""

SCORE = "max(logits) - mean(logits) + log(sum(exp(logits - max(logits))))"
"""How sure a model is that an input is of a class that it knows."""

Decode = Callable[[Mapping[str, Any], Sequence[tuple[Request, Arrays]]], Any]


class Decoding:
    """Makes answers of outputs."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        """Takes the contract.

        Raises:
            UnavailableError: It is of a kind that this kit does not answer.
            BrokenError: It says what this kit does not know.
        """
        self._contract, kind = contract, contract["decoding"]["kind"]
        if kind in ELSEWHERE:
            task = contract["task"]
            raise UnavailableError(f"this kit does not answer models for {task}, which need decoding '{kind}'")
        if kind not in KINDS:
            raise BrokenError(f"contract.json: decoding.kind must be one of {', '.join(KINDS)}, got '{kind}'")
        score = contract["thresholds"].get("unknown", {}).get("score", SCORE)
        if score != SCORE:
            raise BrokenError(f"contract.json: thresholds.unknown.score must be '{SCORE}', got '{score}'")
        self._decode = KINDS[kind]

    def __call__(self, answers: Sequence[tuple[Request, Arrays]]) -> Any:
        """The answer to a row, of the requests that it became and what the model answered to each."""
        return self._decode(self._contract, answers)


def _classes(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The likeliest class, its probability, and whether the input is of a known one."""
    decoding, labels = contract["decoding"], contract["labels"]
    # What streams answers a request after another; the last one has heard all.
    scores = answers[-1][1][decoding["output"]]
    logits = np.moveaxis(scores, decoding["axis"], -1).reshape(-1, decoding["classes"])[0]
    answer = _likeliest(logits, decoding["temperature"], labels)
    unknown = contract["thresholds"].get("unknown")
    if unknown:
        wide = logits.astype(np.float32)
        top = wide.max()
        known = top - wide.mean() + np.log(np.exp(wide - top).sum())
        answer["known"] = bool(known >= unknown["accept_above"])
    return answer


def _likeliest(logits: np.ndarray, temperature: float, labels: Sequence[str]) -> dict[str, Any]:
    logits = logits.astype(np.float32)
    best = int(logits.argmax())
    weights = np.exp((logits - logits[best]) / temperature)
    return {"label": labels[best] if labels else best, "score": float(1 / weights.sum())}


def _tags(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The label of each word; null where the word was cut off."""
    request, outputs = answers[0]
    scores = np.moveaxis(outputs[contract["decoding"]["output"]], contract["decoding"]["axis"], -1)[0]
    labels = contract["labels"]
    firsts = request.details["first_tokens"]
    return [None if place is None else labels[int(scores[place].argmax())] for place in firsts]


def _heads(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The likeliest class of each head among its own."""
    decoding, (_, outputs) = contract["decoding"], answers[0]
    logits, found = outputs[decoding["output"]][0], {}
    for head in decoding["heads"]:
        own = slice(head["first"], head["first"] + head["classes"])
        labels = [label.removeprefix(f"{head['name']}/") for label in contract["labels"][own]]
        found[head["name"]] = _likeliest(logits[own], 1.0, labels)
    return found


def _span(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The passage's span with the best sum of scores over all windows."""
    decoding = contract["decoding"]
    best, span = -np.inf, (-1, -1)
    for request, outputs in answers:
        starts, ends = (outputs[decoding[name]][0].astype(np.float32) for name in ("start", "end"))
        covered = request.details["covered"]
        score, found = _best_span(starts, ends, covered, decoding["candidates"], decoding["longest"])
        if score > best:
            best, span = score, found
    passage = answers[0][0].details["passage"]
    if span[0] < 0:
        return {"answer": "", "start": -1, "end": -1, "score": None}
    return {"answer": passage[span[0] : span[1]], "start": span[0], "end": span[1], "score": float(best)}


def _best_span(
    starts: np.ndarray, ends: np.ndarray, covered: np.ndarray, candidates: int, longest: int
) -> tuple[float, tuple[int, int]]:
    first, last = (_highest(scores, covered[:, 0] >= 0, candidates) for scores in (starts, ends))
    sums = starts[first][:, np.newaxis] + ends[last][np.newaxis]
    long = last[np.newaxis] - first[:, np.newaxis]
    sums = np.where((long >= 0) & (long < longest), sums, -np.inf)
    if not sums.size or not np.isfinite(top := sums.max()):
        return -np.inf, (-1, -1)
    one, other = np.unravel_index(int(sums.argmax()), sums.shape)
    return float(top), (int(covered[first[one], 0]), int(covered[last[other], 1]))


def _highest(scores: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """The places of the best scores, the earlier one of two that are alike; what is no number is none of them."""
    places = np.flatnonzero(allowed & ~np.isnan(scores))
    return places[np.argsort(-scores[places], kind="stable")[:count]]


def _boxes(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """What is where on a picture."""
    return {"boxes": seen(contract["decoding"], contract["labels"], answers[0][1])}


def _ranking(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The best items and their scores; and how many of the row's own the model does not know."""
    decoding, (request, outputs) = contract["decoding"], answers[0]
    scores = outputs[decoding["scores"]][0].astype(np.float32)
    # What is excluded fills up the answer where nothing else is left.
    some = np.isfinite(scores)
    items = [contract["labels"][int(place)] for place in outputs[decoding["items"]][0][some]]
    return {"items": items, "scores": [float(score) for score in scores[some]], **request.details}


def _frames(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The sound that a stream's answers make; its samples are an array."""
    decoding, details = contract["decoding"], answers[0][0].details
    add, lag = Adder(decoding), decoding["window"] - decoding["hop"]
    samples = np.concatenate([add(outputs[decoding["output"]]) for _, outputs in answers])
    return {"rate": details["rate"], "samples": samples[lag : lag + details["count"]]}


def _mel(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """The sound that bands make; its samples are an array."""
    from kit.audio import bands
    from kit.vocoder import Vocoder

    decoding, outputs = contract["decoding"], answers[0][1]
    rate = decoding["rate"]
    frame, hop = (round(decoding[name] * rate) for name in ("frame", "hop"))
    points, high = 1 << (frame - 1).bit_length(), decoding["high"] or rate / 2
    counted = bands(rate, points, decoding["mels"], decoding["low"], high)
    mel = outputs[decoding["output"]][0, : int(outputs[decoding["frames"]][0])]
    # The floor is of what is heard, of which nothing is here.
    return {"rate": rate, "samples": Vocoder(counted, frame, hop, 1.0, decoding["iterations"]).sound(mel)}


def _probability(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    """How likely each frame has it, and the share of frames that have."""
    decoding = contract["decoding"]
    chances = [float(outputs[decoding["output"]].reshape(-1)[0]) for _, outputs in answers]
    share = sum(chance >= decoding["threshold"] for chance in chances) / len(chances)
    return {"label": (contract["labels"] or [None])[-1], "share": share, "probabilities": chances}


def _numbers(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    return answers[-1][1][contract["decoding"]["output"]].tolist()


def _none(contract: Mapping[str, Any], answers: Sequence[tuple[Request, Arrays]]) -> Any:
    return {name: each.tolist() for name, each in answers[-1][1].items()}


KINDS: Mapping[str, Decode] = {
    "classes": _classes,
    "tags": _tags,
    "heads": _heads,
    "span": _span,
    "boxes": _boxes,
    "ranking": _ranking,
    "frames": _frames,
    "mel": _mel,
    "probability": _probability,
    "numbers": _numbers,
    "none": _none,
}
