"""Latency on this device, in lines that `edgesft check --measurements` holds against a budget (export/PROTOCOL.md).

What measures is edgesft's own agent, one file that lies here as `agent.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kit import agent
from kit.application import Kit
from kit.errors import UnavailableError
from kit.model import CPU, Arrays, unpacked


def measure(
    kit: Kit,
    requests: Sequence[Arrays],
    *,
    threads: int,
    samples: int,
    seconds: float,
    rounds: int,
    warmup_seconds: float,
) -> Iterator[Mapping[str, Any]]:
    """The answers of an agent that measures the kit's model alone, one after another.

    Args:
        kit: With the variant to measure; it answers no more.
        requests: Feeds with the states, which are fed back.
        threads: Of an inference.
        samples: Least number of timed inferences.
        seconds: Least time spent on them.
        rounds: That they are spread over.
        warmup_seconds: Longest warm-up.

    Raises:
        UnavailableError: The provider does not run the model.
    """
    kit.model.close()  # or its memory would be the agent's, too
    own = agent.Agent()

    def ask(op: str, **fields: Any) -> dict[str, Any]:
        try:
            return {"op": op, **getattr(own, op)(**fields)}
        except agent.Refusal as refusal:
            raise UnavailableError(str(refusal)) from refusal

    model, held = kit.model, len(requests)
    providers = [{"name": name, "options": given} for name, given in {model.provider: model.options, CPU: {}}.items()]
    with unpacked(kit.bundle, model.variant) as file:
        yield ask("info")
        yield ask("state")
        yield ask("load", model=str(file), providers=providers, threads=threads)
        yield ask("model")
        if model.states:
            yield ask("feedback", states=dict(model.states))
        own.requests = [model.padded(feeds) for feeds in requests]
        yield ask("first")
        warm = ask("warm_up", seconds=warmup_seconds)
        yield warm
        enough = math.ceil(seconds * 1e9 / rounds / max(1, warm["typical_ns"]))
        count = max(math.ceil(samples / rounds), enough)
        for number in range(rounds):
            yield ask("time", count=count, picks=[(number * count + index) % held for index in range(min(count, held))])
        yield ask("memory")
        yield ask("state")
