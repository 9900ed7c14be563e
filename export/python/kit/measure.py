"""Latency on this device, in lines that `edgesft check --measurements` holds against a budget (export/PROTOCOL.md).

What measures is edgesft's own agent, one file that lies here as `agent.py`.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kit import agent
from kit.application import Kit
from kit.errors import InputError, UnavailableError
from kit.model import CPU, MAIN, Arrays, parts, unpacked

Reply = Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """How long it is measured.

    Attributes:
        threads: Of an inference.
        samples: Least number of timed inferences.
        seconds: Least time spent on them.
        rounds: That they are spread over.
        warmup_seconds: Longest warm-up.
    """

    threads: int = 1
    samples: int = 300
    seconds: float = 5.0
    rounds: int = 20
    warmup_seconds: float = 5.0

    def __post_init__(self) -> None:
        for name in ("samples", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("seconds", "warmup_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be a number from 0 on, got {getattr(self, name)}")


Ask = Callable[..., dict[str, Any]]


@contextmanager
def _loaded(kit: Kit, threads: int) -> Iterator[tuple[agent.Agent, Ask, list[Reply]]]:
    """An agent that has loaded the kit's model alone, what asks it, and what it has told so far.

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

    model = kit.model
    providers = [{"name": name, "options": given} for name, given in {model.provider: model.options, CPU: {}}.items()]
    with unpacked(kit.bundle, model.variant) as folder:
        told = [ask("info"), ask("state")]
        load = ask("load", model=str(folder / parts(model.variant)[MAIN]), providers=providers, threads=threads)
        model.sessions[MAIN] = own.session
        for graph, file in model.variant.get("graphs", {}).items():
            began = time.perf_counter_ns()
            model.sessions[graph] = model.started(str(folder / file), file, threads)
            load["load_ns"] += time.perf_counter_ns() - began  # all of it must be there before anything is answered
        yield own, ask, [*told, load, ask("model")]


def measure(kit: Kit, requests: Sequence[Arrays], settings: Settings) -> Iterator[Reply]:
    """The answers of an agent that measures the kit's model alone, one after another.

    Args:
        kit: With the variant to measure; it answers no more.
        requests: Feeds with the states, which are fed back.
        settings: How long.

    Raises:
        UnavailableError: The provider does not run the model.
    """
    if len(parts(kit.model.variant)) > 1:
        raise UnavailableError("a model must be one graph to be measured so, or answer token by token, got several")
    held = len(requests)
    with _loaded(kit, settings.threads) as (own, ask, told):
        yield from told
        if kit.model.states:
            yield ask("feedback", states=dict(kit.model.states))
        own.requests = [kit.model.padded(feeds) for feeds in requests]
        yield ask("first")
        warm = ask("warm_up", seconds=settings.warmup_seconds)
        yield warm
        enough = math.ceil(settings.seconds * 1e9 / settings.rounds / max(1, warm["typical_ns"]))
        count = max(math.ceil(settings.samples / settings.rounds), enough)
        for number in range(settings.rounds):
            yield ask("time", count=count, picks=[(number * count + index) % held for index in range(min(count, held))])
        yield ask("memory")
        yield ask("state")


def measure_said(kit: Kit, requests: Sequence[Arrays], most: int, settings: Settings) -> Iterator[Reply]:
    """The same of a model that answers token by token: of each round the time from a prompt to its first token
    (`opening`), and those of the tokens after it (`time`), chosen as an application chooses them.

    Args:
        kit: With the variant to measure.
        requests: Each a prompt's tokens.
        most: Tokens of an answer, whether or not one that ends it is among them.
        settings: How long.

    Raises:
        InputError: No prompt leaves room for two tokens.
        UnavailableError: The provider does not run the model.
    """
    writer = kit.writer
    if writer is None:
        raise UnavailableError("a model must answer token by token to be measured so, got one that does not")
    prompts = [next(iter(feeds.values()))[0].tolist() for feeds in requests]
    prompts = [prompt for prompt in prompts if writer.room(prompt, 2) > 1]
    if not prompts:
        raise InputError("a prompt must leave room for two tokens to be measured, got none that does")
    with _loaded(kit, settings.threads) as (_, ask, told), agent.undisturbed():
        yield from told
        yield {"op": "first", "ns": writer.pace(prompts[len(prompts) // 2], 1)[0]}
        medians, spent, count = list[int](), 0, 0
        while spent < settings.warmup_seconds * 1e9 and not _steady(medians):
            times = [ns for prompt in prompts for ns in writer.pace(prompt, most)]
            medians.append(int(statistics.median(times)))
            spent, count = spent + sum(times), count + len(times)
        yield {"op": "warm_up", "samples": count, "stable": _steady(medians), "typical_ns": (medians or [1])[-1]}
        turns, least = itertools.cycle(prompts), settings.samples / settings.rounds
        for _ in range(settings.rounds):
            first, steps = list[int](), list[int]()
            while len(steps) < least or sum(first) + sum(steps) < settings.seconds * 1e9 / settings.rounds:
                opening, *after = writer.pace(next(turns), max(2, most))
                first.append(opening)
                steps += after
            yield {"op": "opening", "ns": first}
            # What was used was used for both.
            yield {"op": "time", "ns": steps, "energy_uj": None}
        yield ask("memory")
        yield ask("state")


def _steady(medians: Sequence[int]) -> bool:
    """Whether a warm-up may end, as the agent has it."""
    recent = medians[-agent.STABLE_BLOCKS :]
    return len(recent) == agent.STABLE_BLOCKS and max(recent) <= (1 + agent.STABLE_SHARE) * min(recent)
