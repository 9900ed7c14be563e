"""What a model says of a prompt, by its contract alone: what golden rows hold of one that answers token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgesft.ship import wiring
from edgesft.ship.variant import MODEL
from edgesft.ship.wiring import Feeds, Outputs, Run

if TYPE_CHECKING:
    import numpy as np

ONCE: Mapping[str, Any] = {"decoding": {"kind": "none"}}
"""What a contract says, as far as it matters here, of a model of one graph that answers in one inference."""

TOKENS, SCORES, MARGINS = "tokens", "scores", "margins"
"""Outputs of a golden row beside the scores of its first token: what was said, the score of each such token, and how
far that was above the next best one's."""

MOST = 24
"""Tokens of a golden answer: as many as show a cache that is handed on wrongly."""


def is_generated(said: Mapping[str, Any]) -> bool:
    """Whether an answer takes an inference a token."""
    return bool(said["decoding"]["kind"] == "generation")


def prompt_inputs(said: Mapping[str, Any]) -> dict[str, Any]:
    """What golden rows feed of a contract whose answers are said, as a contract has inputs: a prompt's tokens."""
    reader = said["decoding"].get("reader", {"graph": MODEL, "tokens": said["decoding"]["tokens"]})
    inputs = wiring.ends(said)[reader["graph"]]["inputs"]
    return {"inputs": [each for each in inputs if each["name"] == reader["tokens"]]}


def malformed(said: Mapping[str, Any], inputs: Feeds, outputs: Outputs) -> str | None:
    """What a golden row of a contract whose answers are said must have, and has not; None where it is right."""
    (prompt,) = prompt_inputs(said)["inputs"]
    given, scores = inputs.get(prompt["name"]), said["decoding"]["output"]
    if len(inputs) != 1 or given is None or str(given.dtype) != prompt["dtype"] or given.ndim != 2 or not given.size:
        return f"feed '{prompt['name']}' the tokens of a prompt, got {', '.join(inputs)}"
    kinds = {scores: "f", TOKENS: "i", SCORES: "f", MARGINS: "f"}
    if {name: each.dtype.kind for name, each in outputs.items()} != kinds or any(
        each.ndim != 1 for each in outputs.values()
    ):
        return f"hold lists of numbers of {', '.join(kinds)}, got {', '.join(outputs)}"
    tokens, count = outputs[TOKENS], len(outputs[scores])
    if len({len(outputs[name]) for name in (TOKENS, SCORES, MARGINS)}) != 1 or not len(tokens):
        return "have a score and a margin for each token, and at least one"
    if tokens.min() < 0 or tokens.max() >= count:
        return f"have tokens of the {count} that are scored, got {tokens.min()} to {tokens.max()}"
    return None


def answer(said: Mapping[str, Any], run: Run, feeds: Feeds, expected: Outputs | None = None) -> dict[str, np.ndarray]:
    """What a model answers to the inputs of a golden row.

    Args:
        said: The contract.
        run: Of the model.
        feeds: The inputs.
        expected: The golden outputs. What is said is then these tokens, whatever others are likelier, so that one close
            call does not make all that follows another answer.
    """
    if not is_generated(said):
        return wiring.answered(said, run, feeds)
    (prompt,) = feeds.values()
    forced = None if expected is None else [int(token) for token in expected[TOKENS]]
    return _summary(said["decoding"], _steps(said, run, prompt, forced), forced)


def _steps(said: Mapping[str, Any], run: Run, prompt: np.ndarray, forced: Sequence[int] | None) -> Iterator[np.ndarray]:
    """The scores of one token after another, float32 of shape [vocabulary], as greedy decoding has them."""
    import numpy as np

    decoding = said["decoding"]
    fed, read = _read(said, run, prompt)
    shapes = {each["name"]: each for each in said["inputs"] if each["name"] in decoding["cache"]}
    past = {name: np.zeros(_empty(each["shape"]), each["dtype"]) for name, each in shapes.items()}
    most = MOST if forced is None else len(forced)
    if decoding["positions"] is not None:
        most = min(most, decoding["positions"] - prompt.shape[1] + 1)
    for place in range(most):
        kept = {decoding["keep"]: np.asarray([fed.shape[1] - 1])} if "keep" in decoding else {}
        outputs = run({decoding["tokens"]: fed, **kept, **past, **read})
        scores = outputs[decoding["output"]][0, -1]
        yield scores
        token = int(scores.argmax()) if forced is None else forced[place]
        if forced is None and token in decoding["stop"]:
            return
        fed = np.asarray([[token]], np.int64)
        past = {name: outputs[output] for name, output in decoding["cache"].items()}


def _read(said: Mapping[str, Any], run: Run, prompt: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What is fed first, and what a reader gives the model."""
    import numpy as np

    reader = said["decoding"].get("reader")
    if reader is None:
        return prompt, {}
    outputs = run({reader["tokens"]: prompt}, graph=reader["graph"])
    links = said["links"][MODEL][reader["graph"]]
    return np.asarray([[said["decoding"]["begin"]]], np.int64), {name: outputs[given] for name, given in links.items()}


def _summary(
    decoding: Mapping[str, Any], steps: Iterator[np.ndarray], forced: Sequence[int] | None
) -> dict[str, np.ndarray]:
    """What golden rows hold of the scores of each step."""
    import numpy as np

    first, tokens, scores, margins = np.zeros(0, np.float32), list[int](), list[float](), list[float]()
    for place, each in enumerate(steps):
        first = each if place == 0 else first
        token = int(each.argmax())
        tokens.append(token)
        scores.append(float(each[token if forced is None else forced[place]]))
        margins.append(float(each[token] - np.delete(each, token).max(initial=each.min())))
    numbers = {SCORES: np.asarray(scores, np.float32), MARGINS: np.asarray(margins, np.float32)}
    return {decoding["output"]: np.asarray(first), TOKENS: np.asarray(tokens, np.int64), **numbers}


def _empty(shape: Sequence[Any]) -> list[int]:
    """Of a cache in which nothing is yet: a row of it, and no tokens."""
    return [axis if isinstance(axis, int) else int(place == 0) for place, axis in enumerate(shape)]


def without_close_calls(
    expected: Sequence[Outputs], got: Sequence[Outputs], limit: float
) -> tuple[list[Outputs], list[Outputs]]:
    """Both without what decides nothing: margins, and tokens whose score was so little above the next best one's that
    another may be chosen elsewhere, which is less than twice the tolerance. Answers that are no such stay as they are.

    Args:
        expected: Golden outputs of each row.
        got: As many.
        limit: The tolerance, as a share of the scores' largest magnitude.
    """
    import numpy as np

    if not expected or TOKENS not in expected[0]:
        return list(expected), list(got)
    (scores,) = (name for name in expected[0] if name not in (TOKENS, SCORES, MARGINS))
    least = 2 * limit * max(float(np.abs(each[scores]).max(initial=0)) for each in expected)

    def sure(row: Outputs, margins: np.ndarray) -> Outputs:
        kept = margins > least
        tokens = row[TOKENS][kept] if len(row[TOKENS]) == len(kept) else row[TOKENS]
        return {name: tokens if name == TOKENS else each for name, each in row.items() if name != MARGINS}

    pairs = list(zip(expected, got, strict=True))
    return [sure(one, one[MARGINS]) for one, _ in pairs], [sure(other, one[MARGINS]) for one, other in pairs]
