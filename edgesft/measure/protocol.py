"""How latency is taken: a process a model, warm-up until it is steady, then interleaved rounds in shuffled order."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesft.errors import InputError
from edgesft.measure.driver import Agent, Loaded
from edgesft.measure.measurement import Measurement
from edgesft.progress import Advance, Progress
from edgesft.spec.profile import MeasureSpec, ProfileSpec

Feeds = Mapping[str, np.ndarray]
"""Inputs of one inference by name."""

Connect = Callable[[], Agent]
"""Starts one agent."""

REQUEST_BYTES = 32 * 2**20
"""Requests that one agent holds are at most this large together, so that they do not pass for the model's memory."""

PROBE = 3
"""Inferences that give the first idea of how long one takes."""

WARMUP_BLOCKS = 20
"""Blocks that the longest warm-up is cut into."""

STABLE_BLOCKS = 3
"""The warm-up ends when the medians of this many successive blocks agree."""

STABLE_SHARE = 0.02
"""Medians agree when the highest is within this share of the lowest."""

LEAD_IN = 2
"""Untimed inferences before each round: the caches hold what the model before left there, as on no device."""


Start = tuple[Loaded, int]
"""What loading told, and nanoseconds of the first inference."""


@dataclass(frozen=True)
class Warmup:
    """What the warm-up found.

    Attributes:
        samples: Inferences it took.
        stable: Whether the median settled.
        typical_ns: Median nanoseconds of the last block.
    """

    samples: int
    stable: bool
    typical_ns: int


@dataclass(frozen=True)
class Schedule:
    """What is timed in each round.

    Requests are held in the order of their size. A round takes them at a constant stride, so that short and long ones
    are mixed alike in all rounds, and what differs between rounds is the machine.

    Attributes:
        window: Requests of a round, the same for every model.
        counts: Inferences of each model in a round; multiples of the window, so that all see the same mixture.
        stride: Distance between a round's requests.
        step: Distance between the first requests of two successive rounds.
    """

    window: int
    counts: tuple[int, ...]
    stride: int
    step: int

    def distinct(self, rounds: int, held: int) -> int:
        """How many of the requests so many rounds use."""
        picked = range(0, self.stride * self.window, self.stride)
        return len({(number * self.step + offset) % held for number in range(rounds) for offset in picked})


def schedule(typical_ns: Sequence[int], held: int, settings: MeasureSpec) -> Schedule:
    """Spreads the least samples and the least seconds of each model over the rounds, within the longest time.

    Args:
        typical_ns: Typical latency of each model.
        held: Number of requests.
        settings: What is asked.
    """
    longest = [int(settings.max_seconds * 1e9 / settings.rounds / typical) for typical in typical_ns]
    least = math.ceil(settings.samples / settings.rounds)
    needed = [max(least, math.ceil(settings.seconds * 1e9 / settings.rounds / typical)) for typical in typical_ns]
    window = max(1, min(*needed, *longest))
    counts = [
        window * max(1, min(math.ceil(need / window), most // window))
        for need, most in zip(needed, longest, strict=True)
    ]
    stride = max(1, held // window)
    return Schedule(window, tuple(counts), stride, max(1, stride // settings.rounds))


def warm_up(agent: Agent, held: int, settings: MeasureSpec) -> Warmup:
    """Runs blocks of the same requests until their medians agree, or the time is up."""
    typical = int(statistics.median(agent.time(PROBE, 0, max(1, held // PROBE), PROBE)))
    limit_ns = int(settings.warmup_seconds * 1e9)
    block = max(PROBE, limit_ns // WARMUP_BLOCKS // max(1, typical))
    medians: list[int] = []
    samples, spent_ns = PROBE, 0
    while spent_ns < limit_ns:
        taken = agent.time(block, 0, max(1, held // block), block)
        samples, spent_ns = samples + block, spent_ns + sum(taken)
        medians.append(int(statistics.median(taken)))
        recent = medians[-STABLE_BLOCKS:]
        if len(recent) == STABLE_BLOCKS and max(recent) <= (1 + STABLE_SHARE) * min(recent):
            return Warmup(samples, True, medians[-1])
    return Warmup(samples, False, medians[-1])


def interleave(
    agents: Sequence[Agent], plan: Schedule, settings: MeasureSpec, seed: int, advance: Advance
) -> list[list[tuple[int, ...]]]:
    """Rounds of each agent's samples; in each, every agent has its turn alone, in an order that the seed shuffles.

    It stops early, after a whole round, when one more would take an agent past the longest time.
    """
    rng = random.Random(seed)
    rounds: list[list[tuple[int, ...]]] = [[] for _ in agents]
    spent = [0] * len(agents)
    for number in range(settings.rounds):
        start = number * plan.step
        for index in rng.sample(range(len(agents)), len(agents)):
            agents[index].time(LEAD_IN, start, plan.stride, plan.window)
            taken = agents[index].time(plan.counts[index], start, plan.stride, plan.window)
            rounds[index].append(taken)
            spent[index] += sum(taken)
        advance()
        if max(total + sum(taken[-1]) for total, taken in zip(spent, rounds, strict=True)) > settings.max_seconds * 1e9:
            break
    return rounds


def fitting(requests: Sequence[Feeds], most_bytes: int = REQUEST_BYTES) -> list[Feeds]:
    """As many of the requests as fit into so many bytes, in the order of their size; at least one.

    Raises:
        InputError: There is no request.
    """
    if not requests:
        raise InputError("requests must hold at least one request, got none", "give data with at least one row")
    ordered = sorted(requests, key=_bytes)
    count = max(1, min(len(ordered), len(ordered) * most_bytes // max(1, sum(map(_bytes, ordered)))))
    return [ordered[index * len(ordered) // count] for index in range(count)]


def _bytes(feeds: Feeds) -> int:
    return sum(array.nbytes for array in feeds.values())


def measure(
    models: Mapping[str, Path],
    requests: Sequence[Feeds],
    profile: ProfileSpec,
    *,
    settings: MeasureSpec | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    loads: int = 1,
    python: Path | None = None,
    connect: Connect | None = None,
) -> dict[str, Measurement]:
    """Measures several models against each other on the profile's first provider.

    Each model has a process of its own, so that its peak memory is its own; while one is timed the others sleep.

    Args:
        models: Name → ONNX file.
        requests: What is fed, one inference an item, in turn.
        profile: Provider, threads and, unless `settings` is given, how to measure.
        settings: Instead of the profile's.
        progress: Tells the person what goes on.
        seed: Order of the models within each round.
        loads: Processes that load each model and run it once; five or more give a bound on the load time.
        python: Interpreter of the agents; by default this one.
        connect: Starts an agent; by default a process on this machine.

    Raises:
        InputError: There is nothing to measure.
        MeasureError: An agent refused, died or did not answer.
    """
    settings, progress = settings or profile.measure, progress or Progress(quiet=True)
    connect = connect or (lambda: Agent(profile.threads, python))
    if not models:
        raise InputError("models must name at least one model, got none")
    held = fitting(requests)
    with ExitStack() as stack:
        agents: list[Agent] = []
        starts: list[list[Start]] = []
        for model in models.values():
            starts.append([])
            for _ in range(loads - 1):
                with connect() as agent:
                    starts[-1].append(_start(agent, model, [held[len(held) // 2]], profile))
            agents.append(stack.enter_context(connect()))
            starts[-1].append(_start(agents[-1], model, held, profile))
        warmups = [warm_up(agent, len(held), settings) for agent in agents]
        plan = schedule([warmup.typical_ns for warmup in warmups], len(held), settings)
        with progress.bar(f"measuring {', '.join(models)}", settings.rounds) as advance:
            rounds = interleave(agents, plan, settings, seed, advance)
        inputs = f"real rows, {plan.distinct(len(rounds[0]), len(held))} distinct"
        return {
            name: _measurement(profile, agents[index], starts[index], warmups[index], rounds[index], inputs)
            for index, name in enumerate(models)
        }


def _start(agent: Agent, model: Path, requests: Sequence[Feeds], profile: ProfileSpec) -> Start:
    """Loads the model and runs it once."""
    loaded = agent.load(model, profile.providers, profile.threads)
    for feeds in requests:
        agent.request(feeds)
    return loaded, agent.first()


def _measurement(
    profile: ProfileSpec,
    agent: Agent,
    starts: Sequence[Start],
    warmup: Warmup,
    rounds: Sequence[tuple[int, ...]],
    inputs: str,
) -> Measurement:
    peak, baseline = agent.memory()
    loaded, _ = starts[-1]
    return Measurement(
        provider=profile.providers[0].name,
        threads=profile.threads,
        runtime=agent.info()["runtime"],
        rounds=tuple(rounds),
        loads_ns=tuple(item.load_ns for item, _ in starts),
        firsts_ns=tuple(first for _, first in starts),
        warmup_samples=warmup.samples,
        warmup_stable=warmup.stable,
        peak_memory_bytes=peak,
        baseline_memory_bytes=baseline,
        placement=loaded.placement,
        partitions=loaded.partitions,
        inputs=inputs,
    )
