"""States of streaming models: outputs that become inputs of the next inference."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from edgesft.errors import InputError, Problem
from edgesft.measure.inputs.axes import is_batch
from edgesft.measure.replies import Value
from edgesft.spec.problems import nearest

SIDES = re.compile(
    r"in|out|[ion]|input|output|old|new|prev|previous|cur|current|next|past|present|init|initial|final|updated"
)
"""Words that say on which side of an inference a state is; without them both names are the same."""

STATE = re.compile(r"states?|cached?|hidden|memory|mems?|buf|buffer|carry|[hc]|rnn|gru|lstm")
"""Words that say that a value is a state; one of them must be in the name."""

CELL = re.compile(r"(?<![a-z])([hc])_?[0ntx](?![a-z0-9])")
"""h0, hn, h_t, cx and the like: hidden and cell state as PyTorch's documentation of LSTM writes them."""


def find_states(inputs: Sequence[Value], outputs: Sequence[Value]) -> dict[str, str]:
    """Input → output pairs that are plainly one state, such as `conv_cache` → `conv_cache_out`, `h` → `hn`.

    A pair has one type, shapes that fit, names that are one but for a word such as `in`, `out` or `new`, and a word
    such as `state` or `cache` in them. All axes of the input but the batch are fixed: a cache that grows (keys and
    values of a decoder) is no state to feed back while one length is measured. Shapes alone never make a pair: DTLN's
    `input_3` → `tf_op_layer_stack_2` is a state, but its spectrum and its mask have one shape too, as pictures that go
    in and out have; such pairs are for the user to give. A model has an input that is no state; else nothing is paired.

    Returns:
        The pairs in the order of the inputs; empty where there are none.
    """
    stems = Counter(_stem(value.name) for value in inputs)
    fed: dict[str, list[Value]] = {}
    for value in outputs:
        fed.setdefault(_stem(value.name), []).append(value)
    pairs: dict[str, str] = {}
    for value in inputs:
        stem = _stem(value.name)
        candidates = fed.get(stem, [])
        if stems[stem] == len(candidates) == 1 and _is_named_state(stem) and _keeps_its_size(value):
            (output,) = candidates
            if _mismatch(value, output) is None:
                pairs[value.name] = output.name
    return pairs if len(pairs) < len(inputs) else {}


def check_states(pairs: Mapping[str, str], inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
    """Checks pairs that the user gives.

    Raises:
        InputError: A name is not there (near ones are named), or type or shape of a pair differ.
    """
    ins, outs = ({value.name: value for value in values} for values in (inputs, outputs))
    problems: list[Problem] = []
    for name, output in pairs.items():
        known = True
        for kind, word, values in (("an input", name, ins), ("an output", output, outs)):
            if word not in values:
                known = False
                problems.append(
                    Problem(f"state '{name}={output}' must name {kind}, got {word!r}", nearest(word, values))
                )
        if known and (wrong := _mismatch(ins[name], outs[output])):
            problems.append(Problem(f"state '{name}={output}' must be one value fed back, got {wrong}"))
    if problems:
        raise InputError(problems)


def _stem(name: str) -> str:
    """The name without the words that tell the two sides apart: `stateN` and `state` are both `state`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.split(r"[^a-z0-9]+", CELL.sub(r"\1", spaced))
    return "_".join(word for word in words if word and not SIDES.fullmatch(word))


def _is_named_state(stem: str) -> bool:
    return any(STATE.fullmatch(word) for word in stem.split("_"))


def _keeps_its_size(value: Value) -> bool:
    return all(isinstance(axis, int) or is_batch(value, place) for place, axis in enumerate(value.shape))


def _mismatch(value: Value, output: Value) -> str | None:
    """Why the output cannot become the input; a free axis fits any."""
    if value.dtype != output.dtype:
        return f"{output.dtype} for {value.dtype}"
    fits = len(value.shape) == len(output.shape) and all(
        left == right or not (isinstance(left, int) and isinstance(right, int))
        for left, right in zip(value.shape, output.shape, strict=True)
    )
    return None if fits else f"shape {list(output.shape)} for {list(value.shape)}"
