"""Do the stated bounds hold? Simulated machines, measured and judged by what edgesft itself judges with.

`bench/statistics.py` is the command.

Each trial draws a limit of the true percentile x (1 ± 5 … 30 %), that of the longest measurement where the machine
changes. It takes rounds of 50 samples, looks at them after 10, 20, 40, … 320 rounds with
`edgesft.budget.sequential.decide`, and stops at the first verdict. For each simulated machine the table says how many
trials were decided, in how many of those each stated bound holds (one that is not stated, for want of samples, claims
nothing and counts as holding; `no upper` says how often), how many verdicts are wrong, how many samples it took at the
median, and in how many trials a look was refused because the machine was unsteady.

It exits with 1 unless in every asked case both bounds hold in at least 95 % of the decided trials, and at most 5 % of
the trials of independent samples stay inconclusive.

What is true of a machine that changes? A measurement can speak only for the time it lasted: where a machine drifts, or
switches between a fast and a slow state, the truth is the percentile of the mixture of what it went through up to the
moment where measuring stopped. Where the latency merely depends on the one before it (autocorrelated, rounds with
levels of their own) it is the percentile over all time. Switching that is fast enough to be seen whole within a few
rounds is also held against all time. The last cases, not asked, show where that must end: a slow state that comes once
in forty rounds is not known to a measurement of ten.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np

from edgesft.budget.sequential import decide, rounds_at

SAMPLES = 50
"""Samples of a round."""

LOOKS = 6
"""Looks at most; the last is at 320 rounds."""

CHUNK = 500
"""Trials that are simulated together; fewer take longer, more take more memory."""

TYPICAL_NS = 5_000_000
"""Nanoseconds that a latency of 1 means."""

NEAREST, FARTHEST = 0.05, 0.30
"""How far the limit is from the truth, as a share of it."""

HOLDS, OPEN = 0.95, 0.05
"""What is asked: bounds hold in at least this share of the decided; at most this share of the independent stay open."""

LATENCIES = np.linspace(0.3, 8, 7701)
"""Where distribution functions are tabulated: far more finely than any bound is."""


@cache
def log_normal(sigma: float, middle: float = 1.0) -> np.ndarray:
    """Distribution function of a log-normal latency on `LATENCIES`."""
    return np.array([0.5 + 0.5 * math.erf(math.log(x / middle) / sigma / 2**0.5) for x in LATENCIES])


def quantile(shares: np.ndarray, p: int) -> np.ndarray:
    """Latency at which distribution functions, shape (…, latencies), reach p %."""
    index = np.argmax(shares >= p / 100, axis=-1)
    before, after = (np.take_along_axis(shares, (index - back)[..., None], -1)[..., 0] for back in (1, 0))
    step = LATENCIES[1] - LATENCIES[0]
    return LATENCIES[index] - step * (after - p / 100) / (after - before)


class Machine(Protocol):
    """Many machines of a kind, one a trial."""

    def __init__(self, rng: np.random.Generator, trials: int) -> None: ...

    def draw(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The next latencies of these trials; shape (trials, rounds, SAMPLES)."""

    def shares(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """True distribution functions of these trials after so many rounds; shape (trials or 1, latencies)."""


@dataclass
class Independent:
    """Every sample by itself: one of two log-normal modes, with a Pareto tail where `tail` is not 0."""

    rng: np.random.Generator
    trials: int
    sigma: float = 0.1
    slow: float = 0.0
    factor: float = 2.0
    tail: float = 0.0

    def draw(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The next latencies."""
        shape = (len(trials), rounds, SAMPLES)
        found = np.exp(self.sigma * self.rng.standard_normal(shape))
        if self.slow:
            found *= np.where(self.rng.random(shape) < self.slow, self.factor, 1)
        if self.tail:
            found *= np.where(self.rng.random(shape) < self.tail, self.rng.random(shape) ** (-1 / PARETO), 1)
        return found

    def shares(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The mixture of the modes, or of the body and its tail."""
        if self.tail:
            # A Pareto factor is log-uniform in its share: average the body over its quantiles.
            factors = ((np.arange(400) + 0.5) / 400) ** (-1 / PARETO)
            tail = np.mean([log_normal(self.sigma, factor) for factor in factors], axis=0)
            return (log_normal(self.sigma) * (1 - self.tail) + tail * self.tail)[None]
        return (log_normal(self.sigma) * (1 - self.slow) + log_normal(self.sigma, self.factor) * self.slow)[None]


PARETO = 3.0
"""Exponent of the heavy tail: its third moment is infinite."""


@dataclass
class Drifting:
    """Log-normal latency that rises by a share in a straight line over so many rounds, and stays there."""

    rng: np.random.Generator
    trials: int
    rise: float
    over: int
    done: int = 0

    def draw(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The next latencies."""
        at = self.done + np.arange(rounds * SAMPLES).reshape(rounds, SAMPLES) / SAMPLES
        self.done += rounds
        noise = np.exp(0.1 * self.rng.standard_normal((len(trials), rounds, SAMPLES)))
        return noise * (1 + self.rise * np.minimum(1, at / self.over))

    def shares(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The mixture over the time measured."""
        levels = 1 + self.rise * np.minimum(1, (np.arange(rounds) + 0.5) / self.over)
        return np.mean([log_normal(0.1, float(level)) for level in levels], axis=0)[None]


class Autocorrelated:
    """Log latency that is a first-order autoregression, with independent noise on top."""

    def __init__(self, rng: np.random.Generator, trials: int, rounds: float, wander: float, noise: float = 0) -> None:
        """So many rounds are its correlation time; `wander` and `noise` are standard deviations."""
        self.rng, self.wander, self.noise = rng, wander, noise
        self.keep = math.exp(-1 / (rounds * SAMPLES))
        self.state = rng.standard_normal(trials)

    def draw(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The next latencies."""
        steps = math.sqrt(1 - self.keep**2) * self.rng.standard_normal((rounds * SAMPLES, len(trials)))
        now = self.state[trials]
        for step in steps:
            now = now * self.keep + step
            step[:] = now
        self.state[trials] = now
        found = self.wander * steps.T.reshape(len(trials), rounds, SAMPLES)
        return np.exp(found + self.noise * self.rng.standard_normal(found.shape) if self.noise else found)

    def shares(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """Over all time."""
        return log_normal(math.hypot(self.wander, self.noise))[None]


class Levels:
    """Rounds with a level of their own each, as when something else was run between them."""

    def __init__(self, rng: np.random.Generator, trials: int) -> None:
        self.rng = rng

    def draw(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The next latencies."""
        shape = (len(trials), rounds, SAMPLES)
        return np.exp(0.1 * (self.rng.standard_normal((*shape[:2], 1)) + self.rng.standard_normal(shape)))

    def shares(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """Over all time."""
        return log_normal(0.1 * 2**0.5)[None]


class Switching:
    """A machine that is fast or slow: with a constant chance at each sample it draws its state anew."""

    def __init__(self, rng: np.random.Generator, trials: int, slow: float, rounds: float, always: bool = False) -> None:
        """`slow` is the share of the slow state, `rounds` its correlation time; `always`: truth is over all time."""
        self.rng, self.slow, self.always = rng, slow, always
        self.chance = 1 / (rounds * SAMPLES)
        self.state = rng.random(trials) < slow
        self.seen, self.begun = np.zeros(trials), False

    def draw(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The next latencies."""
        drawn = self.rng.random((rounds * SAMPLES, len(trials)))
        states = np.empty(drawn.shape, bool)
        now = self.state[trials]
        for step, state in zip(drawn, states, strict=True):
            now = np.where(step < self.chance, step < self.chance * self.slow, now)
            state[:] = now
        self.state[trials] = now
        self.seen[trials] += states.sum(axis=0)
        self.begun = True
        shape = (len(trials), rounds, SAMPLES)
        return np.exp(0.1 * self.rng.standard_normal(shape)) * np.where(states.T.reshape(shape), 1.5, 1)

    def shares(self, trials: np.ndarray, rounds: int) -> np.ndarray:
        """The mixture of what each trial went through; that over all time before they began, or where it is asked."""
        always = self.always or not self.begun
        slow = np.full(len(trials), self.slow) if always else self.seen[trials] / (rounds * SAMPLES)
        return log_normal(0.1) + slow[:, None] * (log_normal(0.1, 1.5) - log_normal(0.1))


Build = Callable[[np.random.Generator, int], Machine]
"""Makes so many machines."""


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: What is simulated.
        p: Percentile that has a limit.
        build: Makes its machines.
        independent: Whether samples are independent, so that few may stay open.
        asked: Whether the number is asked of it.
    """

    name: str
    p: int
    build: Build
    independent: bool = False
    asked: bool = True


def _cases() -> list[Case]:
    longest = rounds_at(LOOKS)
    independent = {
        "log-normal, sigma 0.1": ((50, 95, 99), partial(Independent, sigma=0.1)),
        "log-normal, sigma 0.3": ((50, 95, 99), partial(Independent, sigma=0.3)),
        "bimodal 90/10, x 2": ((50, 95), partial(Independent, slow=0.1)),
        "bimodal 50/50, x 2": ((90, 95, 99), partial(Independent, slow=0.5)),
        "heavy tail (Pareto, 10 %)": ((50, 95), partial(Independent, tail=0.1)),
    }
    dependent: dict[str, Build] = {"rounds with own levels": Levels}
    for rise, over in ((0.02, longest), (0.10, longest), (0.30, longest), (0.10, 40), (0.30, 40)):
        dependent[f"rising {rise:.0%} over {over} rounds"] = partial(Drifting, rise=rise, over=over)
    for rounds in (0.2, 1, 4, 8):
        dependent[f"autocorrelated, {rounds} rounds"] = partial(Autocorrelated, rounds=rounds, wander=0.2)
    for sigma in (0.14, 0.05, 0.02):
        build = partial(Autocorrelated, rounds=4, wander=sigma, noise=sigma)
        dependent[f"autocorrelated {sigma} + noise, 4 rounds"] = build
    switching: dict[str, Build] = {}
    for slow, rounds in product((0.1, 0.5), (0.1, 1, 4, 20)):
        switching[f"{slow:.0%} slow, {rounds} rounds"] = partial(Switching, slow=slow, rounds=rounds)
    always = {
        f"{slow:.0%} slow, {rounds} rounds, all time": (
            partial(Switching, slow=slow, rounds=rounds, always=True),
            asked,
        )
        for slow, rounds, asked in ((0.1, 0.1, True), (0.5, 0.1, True), (0.1, 4, False), (0.5, 4, False))
    }
    return [
        *(Case(name, p, build, independent=True) for name, (of, build) in independent.items() for p in of),
        *(Case(name, p, build) for name, build in dependent.items() for p in (50, 95)),
        *(Case(name, 95, build) for name, build in switching.items()),
        *(Case(name, 95, build, asked=asked) for name, (build, asked) in always.items()),
    ]


CASES = _cases()


class Outcome(NamedTuple):
    """What came out of a decided trial, as in `Row`."""

    lower: bool
    upper: bool
    no_upper: bool
    wrong: bool
    samples: int


@dataclass(frozen=True)
class Row:
    """What came out of a case; shares of the decided trials where nothing else is said.

    Attributes:
        case: Which one.
        decided: Share of all trials.
        lower: The lower bound holds.
        upper: The upper bound holds.
        no_upper: No upper bound is stated.
        wrong: The verdict is not what the truth says.
        samples: Median number of samples taken.
        unsteady: Share of all trials that were refused a verdict at some look.
    """

    case: Case
    decided: float
    lower: float
    upper: float
    no_upper: float
    wrong: float
    samples: int
    unsteady: float

    def missed(self) -> list[str]:
        """What is asked and not met."""
        if not self.case.asked:
            return []
        bounds = [f"{name} bound" for name in ("lower", "upper") if getattr(self, name) < HOLDS]
        return bounds + (["inconclusive"] if self.case.independent and 1 - self.decided > OPEN else [])


def simulate(case: Case, trials: int, seed: int) -> Row:
    """Measures and judges as many machines."""
    rng = np.random.default_rng([seed, CASES.index(case)])
    outcomes: list[Outcome] = []
    unsteady = 0
    for start in range(0, trials, CHUNK):
        found, refused = _chunk(case, rng, min(CHUNK, trials - start))
        outcomes += found
        unsteady += refused
    decided = max(1, len(outcomes))
    return Row(
        case,
        len(outcomes) / trials,
        1 - sum(not found.lower for found in outcomes) / decided,
        1 - sum(not found.upper for found in outcomes) / decided,
        sum(found.no_upper for found in outcomes) / decided,
        sum(found.wrong for found in outcomes) / decided,
        int(np.median([found.samples for found in outcomes] or [0])),
        unsteady / trials,
    )


def _chunk(case: Case, rng: np.random.Generator, trials: int) -> tuple[list[Outcome], int]:
    """What came out of each decided trial, and how many trials were refused a verdict."""
    machines = case.build(rng, trials)
    left, held = np.arange(trials), np.empty((trials, 0, SAMPLES), np.int64)
    away = rng.uniform(NEAREST, FARTHEST, trials) * rng.choice([-1, 1], trials)
    limits = TYPICAL_NS * quantile(machines.shares(left, rounds_at(LOOKS)), case.p) * (1 + away)
    found, refused = list[Outcome](), set[int]()
    for look in range(1, LOOKS + 1):
        new = machines.draw(left, rounds_at(look) - held.shape[1])
        held = np.concatenate([held, np.rint(new * TYPICAL_NS).astype(np.int64)], axis=1)
        shares = machines.shares(left, held.shape[1])
        truths = np.broadcast_to(TYPICAL_NS * quantile(shares, case.p), left.shape)
        open_ = []
        for index, (trial, rounds, truth) in enumerate(zip(left, held, truths, strict=True)):
            decision = decide(rounds, {case.p: int(limits[trial])}, look)
            if decision.steadiness.problems:
                refused.add(int(trial))
            if decision.verdict is None:
                open_.append(index)
                continue
            _, low, high = decision.intervals[case.p]
            wrong = (decision.verdict == "pass") != (truth <= limits[trial])
            lower, upper = low is None or low <= truth, high is None or high >= truth
            found.append(Outcome(lower, upper, high is None, wrong, rounds.size))
        left, held = left[open_], held[open_]
        if not left.size:
            break
    return found, len(refused)


def main() -> int:
    """Prints the table; 1 where something asked is missed."""
    parser = argparse.ArgumentParser(description="Do the stated bounds hold on simulated machines?")
    parser.add_argument("--trials", type=int, default=10_000, help="of each case (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"{arguments.trials} trials a case, seed {arguments.seed}; {SAMPLES} samples a round, {LOOKS} looks")
    print(
        f"{'case':38} {'p':>3} {'decided':>8} {'lower':>8} {'upper':>8} {'no upper':>8} "
        f"{'wrong':>7} {'samples':>7} {'unsteady':>8}"
    )
    started, missed = time.monotonic(), 0
    for case in CASES:
        row = simulate(case, arguments.trials, arguments.seed)
        said = "not asked" if not case.asked else "MISSED: " + ", ".join(row.missed()) if row.missed() else ""
        missed += bool(row.missed())
        print(
            f"{case.name:38} p{case.p} {row.decided:8.2%} {row.lower:8.2%} {row.upper:8.2%} {row.no_upper:8.2%} "
            f"{row.wrong:7.2%} {row.samples:7} {row.unsteady:8.2%} {said}".rstrip(),
            flush=True,
        )
    print(f"{time.monotonic() - started:.0f} s; {missed} of {sum(case.asked for case in CASES)} asked cases missed")
    return 1 if missed else 0
