"""The measuring protocol: one process per model, warm-up until steady, then interleaved rounds in shuffled order."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from edgesft.budget.percentile import percentile
from edgesft.errors import InputError
from edgesft.measure.devices import Interpreter
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.inputs.lengths import varying
from edgesft.measure.measurement import Measurement, judged
from edgesft.measure.others import OTHERS, Others
from edgesft.measure.readiness import cool, room
from edgesft.measure.replies import Loaded, Turn, Warmup
from edgesft.measure.scenario import KINDS, Kind
from edgesft.measure.schedule import Schedule, schedule
from edgesft.measure.subject import Start, Subject
from edgesft.progress import Advance, Progress
from edgesft.spec.profile import MeasureSpec

Connect = Callable[[Subject], Agent]
"""Starts an agent for a subject."""

Rounds = Sequence[Sequence[int]]
"""Nanoseconds of each inference, by round."""

Stop = Callable[[Mapping[str, Rounds]], bool]
"""Whether the rounds so far suffice."""

LEAD_IN = 2
"""Untimed inferences before each turn: the caches hold what the model before left there, as on no device."""

PROBE = 5
"""Raw rows that tell how many of them a round takes."""

MINUTE = 60.0
"""Seconds of a round of `sustained`."""


def measure(
    subjects: Mapping[str, Subject],
    settings: MeasureSpec,
    *,
    progress: Progress | None = None,
    seed: int = 0,
    loads: int = 1,
    stop: Stop | None = None,
    lead_in: int = LEAD_IN,
    connect: Connect = Subject.connect,
) -> dict[str, Measurement | MeasureError]:
    """Measures several models against each other.

    Each has a process of its own, so that its peak memory is its own; while one is timed the others sleep. One that
    crashes, hangs or is refused has its error in its place; the others go on. What runs on a simulator is loaded and
    run once, and never timed.

    Args:
        subjects: Name → what is measured.
        settings: How.
        progress: Tells the person what goes on.
        seed: Order of the models within each round.
        loads: Processes that load each model and run it once; five or more give a bound on the load time.
        stop: Asked after each round. With it, rounds go on until it says so or the longest time is up.
        lead_in: Untimed inferences before each turn.
        connect: Starts an agent; by default a process on this machine.

    Raises:
        InputError: There is nothing to measure.
    """
    progress = progress or Progress(quiet=True)
    if not subjects:
        raise InputError("models must name at least one model, got none")
    if empty := [name for name, subject in subjects.items() if not subject.held]:
        raise InputError(f"requests of {', '.join(empty)} must hold at least one, got none", "give at least one row")
    kind = KINDS[settings.scenario]
    if kind.alone:
        whole = settings.minutes * MINUTE
        # Heat may slow the model several times over.
        settings = settings.model_copy(
            update={"rounds": settings.minutes, "seconds": whole, "samples": 1, "max_seconds": 4 * whole}
        )
    seats = {name: _Seat(subject, connect, lead_in) for name, subject in subjects.items()}
    try:
        # All interpreters start at once, and have started before the first model is loaded.
        for step in (_Seat.open, _Seat.greet):
            for seat in _alive(seats).values():
                seat.attempt(partial(step, seat))
        for name, seat in _alive(seats).items():
            progress.say(f"starting {name}")
            seat.attempt(partial(seat.start, loads, settings, kind))
        timed = {name: seat for name, seat in seats.items() if seat.simulated is None}
        for group in [{name: seat} for name, seat in timed.items()] if kind.alone else [timed] if timed else []:
            others = _others(group)
            with progress.bar(f"measuring {', '.join(group)}", settings.rounds) as advance:
                _take_rounds(group, kind, settings, random.Random(seed), advance, stop)
            for seat in group.values():
                seat.others = others.cores() if others else None
        for seat in _alive(seats).values():
            seat.attempt(seat.finish)
    finally:
        for seat in seats.values():
            seat.close()
    return {name: seat.failure or seat.measurement(kind, settings) for name, seat in seats.items()}


def _others(seats: Mapping[str, _Seat]) -> Others | None:
    """Counts what other programs do here; None where models may run elsewhere."""
    alive = _alive(seats).values()
    if any(seat.connect is not Subject.connect or type(seat.subject.device) is not Interpreter for seat in alive):
        return None
    return Others([seat.agent.pid for seat in alive if seat.agent is not None])


def _take_rounds(
    seats: Mapping[str, _Seat],
    kind: Kind,
    settings: MeasureSpec,
    rng: random.Random,
    advance: Advance,
    stop: Stop | None,
) -> None:
    """Rounds in which every model has its turn alone, in an order that is shuffled.

    They end, after a whole round, when one more would take a model past the longest time.
    """
    alive = _alive(seats)
    _share(list(alive.values()), kind, settings)
    number = 0
    while alive:
        for seat in rng.sample(list(alive.values()), len(alive)):
            seat.attempt(partial(seat.turn, kind, settings, number))
        advance()
        number, alive = number + 1, _alive(alive)
        enough = number >= settings.rounds if stop is None else stop({name: alive[name].judged for name in alive})
        if enough or any(seat.overdue(kind, settings) for seat in alive.values()):
            return


def _alive(seats: Mapping[str, _Seat]) -> dict[str, _Seat]:
    return {name: seat for name, seat in seats.items() if seat.failure is None}


def _share(seats: Sequence[_Seat], kind: Kind, settings: MeasureSpec) -> None:
    """Gives each model its inferences of a round; all take the same requests."""
    if not seats:
        return
    typical = [max(seat.typical_ns, kind.gap_ns(settings), 1) for seat in seats]
    held = min(len(seat.subject.held) for seat in seats)
    plan = schedule(typical, held, settings) if kind.steady else Schedule(1, 1, (1,) * len(seats))
    for seat, count in zip(seats, plan.counts, strict=True):
        seat.plan, seat.count = plan, count


@dataclass
class _Seat:
    """A subject under measurement: its agent, what it has taken so far, and what ended it."""

    subject: Subject
    connect: Connect
    lead_in: int
    agent: Agent | None = None
    info: dict[str, Any] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    warmup: Warmup | None = None
    typical_ns: int = 0
    plan: Schedule = field(default_factory=lambda: Schedule(1, 1, (1,)))
    count: int = 1
    turns: list[Turn] = field(default_factory=list)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    memory: tuple[int | None, int | None] = (None, None)
    others: float | None = None
    simulated: str | None = None
    failure: MeasureError | None = None

    def attempt(self, action: Callable[[], None]) -> None:
        """What fails here ends this subject's measurement and nobody else's."""
        try:
            action()
        except MeasureError as error:
            self.failure = error
            self.close()

    def close(self) -> None:
        """Ends the agent, if there is one."""
        if self.agent is not None:
            self.agent.close()
        self.agent = None

    @property
    def rounds(self) -> tuple[tuple[int, ...], ...]:
        """What was taken so far."""
        return tuple(turn.ns for turn in self.turns)

    @property
    def lost(self) -> tuple[int, ...]:
        """Rows of each round that got no answer; empty where there is none."""
        found = tuple(turn.lost for turn in self.turns)
        return found if any(found) else ()

    @property
    def judged(self) -> Rounds:
        """What was taken so far, as limits take it."""
        return judged(self.rounds, self.lost)

    def overdue(self, kind: Kind, settings: MeasureSpec) -> bool:
        """Whether one more round would take longer than is allowed; pauses count, what runs at once counts once."""
        gap = kind.gap_ns(settings)
        spent = [
            turn.detail.get("wall_ns", max(sum(turn.ns), gap * len(turn.ns))) + turn.detail.get("loop_wall_ns", 0)
            for turn in self.turns
        ]
        return sum(spent) + spent[-1] > settings.max_seconds * 1e9

    def open(self) -> None:
        """Starts the process that will be timed; it is not waited for."""
        self.agent = self.connect(self.subject)

    def greet(self) -> None:
        """Waits until it has started."""
        self.info = self._agent().info()

    def start(self, loads: int, settings: MeasureSpec, kind: Kind) -> None:
        """Loads the model so many times, each in a fresh process, and warms up the one that will be timed."""
        room(self._agent().state(), sum(file.stat().st_size for file in self.subject.files))
        cool(self._agent(), self.subject.device.conditions)
        for _ in range(loads - 1):
            with self.connect(self.subject) as agent:
                self.starts.append(self.subject.begin(agent, whole=False))
        agent = self._agent()
        loaded, first = self.subject.begin(agent, whole=kind.steady)
        self.starts.append((loaded, first))
        self.simulated = loaded.simulated
        self.conditions.append(agent.state())
        if kind.steady and not self.simulated:
            self.warmup = agent.warm_up(settings.warmup_seconds)
            self.typical_ns = self.warmup.typical_ns
            if kind.raw:
                # A row may take many times as long as its inference.
                held = len(self.subject.held)
                self.typical_ns = percentile(agent.series("spans", PROBE, range(0, held, -(-held // PROBE))).ns, 50)

    def turn(self, kind: Kind, settings: MeasureSpec, number: int) -> None:
        """One round of this model."""
        if not kind.steady:
            self.turns.append(self._afresh())
            return
        agent, plan = self._agent(), self.plan
        picks = plan.picks(number)
        agent.series("time", self.lead_in, picks)
        turn = agent.series(kind.op, self.count, picks, **kind.more(settings))
        self.turns.append(replace(turn, detail={**turn.detail, **agent.state()}) if kind.alone else turn)

    def _afresh(self) -> Turn:
        """Loading and first inference in a fresh process, the files read from the disk where the system lets that."""
        with self.connect(self.subject) as agent:
            evicted = agent.evict(self.subject.files or (self.subject.model,))
            loaded, first = self.subject.begin(agent, whole=False)
        return Turn((loaded.load_ns + first,), None, {"load_ns": loaded.load_ns, "first_ns": first, "evicted": evicted})

    def finish(self) -> None:
        """Takes what is only known at the end."""
        agent = self._agent()
        if not self.simulated:
            self.memory = agent.memory()
        told = {} if self.others is None else {OTHERS: round(self.others, 3)}
        self.conditions.append({**agent.state(), **told})

    def _agent(self) -> Agent:
        if self.agent is None:
            raise MeasureError("the measuring process is closed")
        return self.agent

    def measurement(self, kind: Kind, settings: MeasureSpec) -> Measurement:
        """Everything that was taken."""
        loaded, _ = self.starts[-1]
        peak, baseline = self.memory
        axis, lengths = self._lengths(loaded)
        return Measurement(
            scenario=settings.scenario,
            provider=self.subject.providers[0].name,
            threads=self.subject.threads,
            options={**self.subject.providers[0].options, **self.subject.session.told},
            runtime=self.info["runtime"],
            machine=self.info["machine"],
            runtime_bytes=self.info["runtime_bytes"],
            conditions=tuple(self.conditions),
            rounds=self.rounds,
            loads_ns=() if self.simulated else tuple(item.load_ns for item, _ in self.starts),
            firsts_ns=() if self.simulated else tuple(first for _, first in self.starts),
            warmup_samples=self.warmup.samples if self.warmup else 0,
            warmup_stable=self.warmup.stable if self.warmup else True,
            peak_memory_bytes=peak,
            baseline_memory_bytes=baseline,
            placement=loaded.placement,
            partitions=loaded.partitions,
            left=loaded.left,
            inputs=self._inputs(),
            axis=axis,
            lengths=lengths,
            states=dict(self.subject.states),
            energy_uj=self._energy_uj(),
            detail=kind.detail(self.turns, settings) if self.turns else {},
            device=self.subject.device.label,
            simulated=self.simulated,
            lost=self.lost,
            io=loaded.io,
        )

    def _inputs(self) -> str:
        used = self.plan.distinct(len(self.turns))
        if self.subject.pipeline is not None:
            return f"raw rows, {used} distinct, through {self.subject.pipeline.label}"
        return f"{self.subject.requests.source}, {used} distinct"

    def _lengths(self, loaded: Loaded) -> tuple[str | None, tuple[int, ...] | None]:
        """The axis that differs among requests, and its size in each sample's request, in the samples' order."""
        if self.subject.pipeline is not None:
            return None, None
        axis, lengths = varying(loaded.inputs, self.subject.held)
        if lengths is None:
            return None, None
        found: list[int] = []
        for number, taken in enumerate(self.rounds):
            picks = self.plan.picks(number)
            found += [lengths[picks[index % len(picks)]] for index in range(len(taken))]
        return axis, tuple(found)

    def _energy_uj(self) -> int | None:
        """Microjoules of one inference, where every round tells them."""
        known = [turn.energy_uj for turn in self.turns if turn.energy_uj is not None]
        taken = sum(len(turn.ns) for turn in self.turns)
        return sum(known) // taken if taken and len(known) == len(self.turns) else None
