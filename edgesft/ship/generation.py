"""Golden rows of models that generate token by token: greedy decoding by the contract alone, and what is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgesft.ship import wiring
from edgesft.ship.variant import MODEL
from edgesft.ship.wiring import Feeds, Outputs, Run

if TYPE_CHECKING:
    import numpy as np

ONCE: Mapping[str, Any] = {"decoding": {"kind": "none"}}
"""The part of a contract that matters here, for a model of one graph that answers in one inference."""

TOKENS, SCORES, MARGINS = "tokens", "scores", "margins"
"""Outputs of a golden row besides the scores of the first token: the generated tokens, the score of each, and its
margin over the second best score."""

MOST = 24
"""Most tokens of a golden answer: enough to show a cache that is passed on wrongly."""


def is_generated(contract: Mapping[str, Any]) -> bool:
    """Whether an answer is generated token by token."""
    return bool(contract["decoding"]["kind"] == "generation")


def prompt_inputs(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of golden rows of a generating model, in the form of a contract: the tokens of a prompt."""
    reader = contract["decoding"].get("reader", {"graph": MODEL, "tokens": contract["decoding"]["tokens"]})
    inputs = wiring.ends(contract)[reader["graph"]]["inputs"]
    return {"inputs": [each for each in inputs if each["name"] == reader["tokens"]]}


def malformed(contract: Mapping[str, Any], inputs: Feeds, outputs: Outputs) -> str | None:
    """What is wrong with a golden row of a generating model; None where nothing is."""
    (prompt,) = prompt_inputs(contract)["inputs"]
    given, scores = inputs.get(prompt["name"]), contract["decoding"]["output"]
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


def answer(
    contract: Mapping[str, Any], run: Run, feeds: Feeds, expected: Outputs | None = None
) -> dict[str, np.ndarray]:
    """A model's answer to the inputs of a golden row.

    Args:
        contract: The contract.
        run: Of the model.
        feeds: The inputs.
        expected: The golden outputs. Their tokens are then fed whatever the model prefers (teacher forcing), so that
            one close call does not change everything that follows.
    """
    if not is_generated(contract):
        return wiring.answered(contract, run, feeds)
    (prompt,) = feeds.values()
    forced = None if expected is None else [int(token) for token in expected[TOKENS]]
    return _summary(contract["decoding"], _steps(contract, run, prompt, forced), forced)


def _steps(
    contract: Mapping[str, Any], run: Run, prompt: np.ndarray, forced: Sequence[int] | None
) -> Iterator[np.ndarray]:
    """The scores of each token of greedy decoding in turn, float32 of shape [vocabulary]."""
    import numpy as np

    decoding = contract["decoding"]
    fed, read = _read(contract, run, prompt)
    shapes = {each["name"]: each for each in contract["inputs"] if each["name"] in decoding["cache"]}
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


def _read(contract: Mapping[str, Any], run: Run, prompt: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The first tokens for the decoder, and the encoder's outputs where there is one."""
    import numpy as np

    reader = contract["decoding"].get("reader")
    if reader is None:
        return prompt, {}
    outputs = run({reader["tokens"]: prompt}, graph=reader["graph"])
    links = contract["links"][MODEL][reader["graph"]]
    return np.asarray([[contract["decoding"]["begin"]]], np.int64), {
        name: outputs[given] for name, given in links.items()
    }


def _summary(
    decoding: Mapping[str, Any], steps: Iterator[np.ndarray], forced: Sequence[int] | None
) -> dict[str, np.ndarray]:
    """The outputs of a golden row, from the scores of each step."""
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
    """Shape of an empty cache: one row and no tokens."""
    return [axis if isinstance(axis, int) else int(place == 0) for place, axis in enumerate(shape)]


def without_close_calls(
    expected: Sequence[Outputs], got: Sequence[Outputs], limit: float
) -> tuple[list[Outputs], list[Outputs]]:
    """Both without the margins, and without tokens whose margin is below twice the tolerance, for which another machine
    may choose differently. Outputs of models that do not generate stay as they are.

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
