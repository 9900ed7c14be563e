"""Two models against each other in one job: blocks of fresh processes, until that decides or the time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesft.budget import paired
from edgesft.budget.paired import Block, Look
from edgesft.budget.percentile import NEVER, percentile
from edgesft.errors import InputError, Problem, UnavailableError
from edgesft.measure.bench.bench import inspected, subject
from edgesft.measure.bench.lacking import absent
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import prepare
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.driver import MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile
from edgesft.measure.protocol import measure
from edgesft.measure.scenario import KINDS
from edgesft.measure.schedule import fitting
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.profile import MeasureSpec

CANDIDATE, BASELINE = "candidate", "baseline"

ROUNDS, SAMPLES, SECONDS = 10, 10, 0.08
"""Of each model in a block: what differs between processes is not told by staying longer with one of them. Rounds are
many and short, so that most of them are free of what comes and goes within a second."""

LONGEST_SECONDS = 1.0
"""Of timing one model in a block; slow models have fewer rounds."""

WARM_UP_SECONDS = 0.12
"""Longest warm-up in a block: where it does not settle, it does not for both."""

LEAD_IN = 1
"""Untimed inferences before each turn: more would take most of the time of a slow model, and both have as many."""

PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}

FIGURES = (*PERCENTILES, "load", "first_inference", "peak_memory")
"""What can be compared: percentiles of the latency, session creation, first inference, resident memory."""

REQUEST_BYTES = 2**20
"""Requests are at most this large together, for the processes of every block are given them anew."""

NOISE_DOUBT = 0.05
"""A comparison is refused early only where the noise is too large with 95 % confidence."""


@dataclass(frozen=True)
class Question:
    """What is to be decided.

    Attributes:
        min_effect: The least slowdown that must be found: 0.05 is 5 %.
        gating: Figures that must be decided, of `FIGURES`.
        seconds: Longest time for it all.
    """

    min_effect: float = 0.05
    gating: tuple[str, ...] = ("p50",)
    seconds: float = 60.0

    def check(self) -> None:
        """Refuses what cannot be asked.

        Raises:
            InputError: A figure is unknown, or a number makes no sense.
        """
        problems = []
        if unknown := [name for name in self.gating if name not in FIGURES]:
            message = f"figure must be one of {', '.join(FIGURES)}, got {', '.join(unknown)}"
            problems.append(Problem(message, "--figure p50"))
        if not 0 < self.min_effect <= 1:
            got = f"{self.min_effect:g}"
            message = f"min effect must be above 0 and at most 1 (the candidate takes twice as long), got {got}"
            problems.append(Problem(message, "--min-effect 0.05"))
        if not 0 < self.seconds < math.inf:
            problems.append(Problem(f"seconds must be above 0, got {self.seconds:g}", "--seconds 60"))
        if problems:
            raise InputError(problems)


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        question: What was asked.
        files: Candidate's and baseline's model.
        blocks: Of each block both measurements.
        look: The last look.
        floor: The least effect that can be told from none here in the time that was allowed, by the figure that
            varies most of those that gate; None where none of them is timed, or was in two blocks.
        refused: Whether the least effect that was asked for is below it and nothing was decided.
        seconds: How long it took.
    """

    question: Question
    files: tuple[ModelFile, ModelFile]
    blocks: tuple[tuple[Measurement, Measurement], ...]
    look: Look
    floor: float | None
    refused: bool
    seconds: float

    @property
    def bar(self) -> float:
        """The ratio above which the candidate is slower."""
        return paired.limit(self.question.min_effect)


Measured = Callable[..., Mapping[str, Measurement | MeasureError]]


def compare(
    order: Order,
    question: Question,
    progress: Progress,
    *,
    measured: Measured = measure,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Measures a candidate against a baseline.

    Args:
        order: Candidate and baseline, in this order, on one provider.
        question: What is to be decided.
        progress: Tells the person what goes on.
        measured: Takes a block; tests put another one here.
        clock: In seconds.

    Raises:
        InputError: Files, inputs or names that cannot work; the models take different inputs.
        MeasureError: One of them cannot be measured.
        UnavailableError: The interpreter has no runtime, or that not the provider.
    """
    began = clock()
    check(order, question)
    settings = _settings(order.profile.measure, question)
    files, subjects = _subjects(order, progress)
    blocks: list[tuple[Measurement, Measurement]] = []
    number = 1
    with progress.bar("comparing", None) as advance:  # It ends with the look that decides.
        while True:
            started = clock()
            blocks.append(_block(subjects, settings, measured, order.seed + len(blocks)))
            advance()
            now = clock()
            last = now - began + (now - started) > question.seconds
            if not last and len(blocks) < paired.blocks_at(number):
                continue
            effects = {name: _effects(name, blocks) for name in FIGURES}
            look = paired.look(effects, question.gating, paired.limit(question.min_effect), number)
            allowed = int(len(blocks) + max(0.0, question.seconds - (now - began)) / ((now - began) / len(blocks)))
            held = [effects[name] for name in question.gating if len(effects[name]) > 1]
            # A single disturbed block of few looks like noise.
            refused = (last or len(blocks) >= paired.TRIMMED_FROM) and any(
                paired.floor(each, allowed, doubt=0.5 if last else NOISE_DOUBT) > question.min_effect for each in held
            )
            refused = refused and not look.decided
            if look.decided or last or refused:
                floor = max((paired.floor(each, allowed) for each in held), default=None)
                return Comparison(question, files, tuple(blocks), look, floor, refused, now - began)
            number += 1


def check(order: Order, question: Question) -> None:
    """Refuses what cannot be compared, as far as it is known before anything is loaded.

    Raises:
        InputError: The question or the order makes no sense, or the scenario's rounds cannot be taken by turns.
    """
    question.check()
    order.check(distinct=False, single=True)
    check_turns(order)


def check_turns(order: Order) -> None:
    """Refuses a scenario whose rounds cannot be taken by turns.

    Raises:
        InputError: It is one.
    """
    scenario = order.profile.measure.scenario
    if KINDS[scenario].alone or not KINDS[scenario].steady:
        raise InputError(
            f"scenario must be one whose rounds can be taken by turns, got {scenario}", "--scenario single-stream"
        )


def _settings(asked: MeasureSpec, question: Question) -> MeasureSpec:
    """Of one block: as the profile says, but short."""
    highest = max((PERCENTILES[name] for name in question.gating if name in PERCENTILES), default=50)
    samples = max(SAMPLES, math.ceil(2 * paired.BEYOND * 100 / (100 - highest)) if highest > 50 else 0)
    return asked.model_copy(
        update={
            "rounds": ROUNDS,
            "samples": samples,
            "seconds": SECONDS,
            "max_seconds": max(LONGEST_SECONDS, question.seconds / 20),
            "warmup_seconds": min(asked.warmup_seconds, WARM_UP_SECONDS),
        }
    )


def _subjects(order: Order, progress: Progress) -> tuple[tuple[ModelFile, ModelFile], dict[str, Subject]]:
    """Both models with the same requests."""
    files = tuple(inspected(each)[each[0].name] for each in ([path] for path in order.models))
    if len(files) != 2 or len(order.providers) != 1:
        got = f"{len(files)} models and {len(order.providers)} providers"
        raise InputError(f"a comparison takes a candidate, a baseline and one provider, got {got}")
    if lacking := absent(order):
        raise UnavailableError(*lacking.values())
    progress.say("loading candidate and baseline")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(prepare, order, file, answers=False) for file in files]
    problems = []
    for name, file, each in zip((CANDIDATE, BASELINE), files, waiting, strict=True):
        if isinstance(error := each.exception(), InputError):
            problems += [replace(problem, where=problem.where or f"{name} {file.path}") for problem in error.problems]
    if problems:
        raise InputError(problems)
    ours, theirs = (each.result() for each in waiting)
    if not ours.pipeline and _shapes(ours) != _shapes(theirs):
        message = f"candidate must take the baseline's inputs, got {_told(ours)} against {_told(theirs)}"
        raise InputError(message, "models of the same inputs; --axis gives free axes a size")
    # Random ids are drawn for the tables of a model: both get the same ones.
    requests = Requests(fitting(theirs.requests.feeds, REQUEST_BYTES), theirs.requests.source)
    ready = {CANDIDATE: replace(ours, requests=requests), BASELINE: replace(theirs, requests=requests)}
    return (files[0], files[1]), {name: subject(order, each, order.providers[0]) for name, each in ready.items()}


def _shapes(prepared: Prepared) -> Sequence[dict[str, tuple[Any, ...]]]:
    return [{name: (array.dtype, array.shape) for name, array in feeds.items()} for feeds in prepared.requests.feeds]


def _told(prepared: Prepared) -> str:
    first = prepared.requests.feeds[0]
    return ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in first.items())


def _block(
    subjects: Mapping[str, Subject], settings: MeasureSpec, measured: Measured, seed: int
) -> tuple[Measurement, Measurement]:
    """Fresh processes of both, which start in an order that alternates."""
    names = list(subjects)[:: 1 if seed % 2 else -1]
    found = measured({name: subjects[name] for name in names}, settings, seed=seed, lead_in=LEAD_IN)
    sides = []
    for name in (CANDIDATE, BASELINE):
        side = found[name]
        if isinstance(side, MeasureError):
            raise MeasureError(f"{name} {subjects[name].model}: {side}") from side
        if side.untimed:
            raise MeasureError(f"{name} {subjects[name].model} cannot be compared: {side.untimed}")
        sides.append(side)
    return sides[0], sides[1]


def _effects(name: str, blocks: Sequence[tuple[Measurement, Measurement]]) -> list[float]:
    """Log ratio of each block; empty where one of them does not tell the figure."""
    found = [_effect(name, *block) for block in blocks]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else []


def _effect(name: str, ours: Measurement, theirs: Measurement) -> float | None:
    if name in PERCENTILES:
        p = PERCENTILES[name]
        if all(percentile(np.concatenate(each.judged), p) == NEVER for each in (ours, theirs)):
            return None
        return paired.effect(Block(ours.judged, theirs.judged), p)
    if name == "load":
        both = ours.load_ns, theirs.load_ns
    elif name == "first_inference":
        both = ours.first_ns, theirs.first_ns
    else:
        both = ours.peak_memory_bytes, theirs.peak_memory_bytes
    return math.log(both[0] / both[1]) if both[0] and both[1] else None
