"""Time and disk of steps: recorded while they run, and estimated for a plan from earlier records."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgesft.pipeline.job import Job
from edgesft.pipeline.plan import Step
from edgesft.store.costs import Cost, note, read
from edgesft.tasks.models import checkpoint, source

EVALUATION, LATENCY = "evaluation", "latency"

MACHINE = ("model", "architecture", "cores")
"""Fields of the fingerprint that a time depends on."""

RECENT = 20
"""Steps of a kind that are looked at: the last ones, which are of the present version and the present machine."""

ALIKE = 4.0
"""Another model may have so many times the parameters, or so many times fewer, for its steps to tell of this one's."""


@dataclass(frozen=True)
class Expected:
    """What a step will take.

    Attributes:
        seconds: Wall-clock.
        bytes: What it leaves in the store.
        basis: From what that follows, in words.
    """

    seconds: float
    bytes: int
    basis: str


@contextmanager
def taken(job: Job, kind: str, amount: float, out: Path | None = None, work: Path | None = None) -> Iterator[None]:
    """Notes what the block takes; not where it went on with what a killed process had begun.

    Args:
        job: The run.
        kind: Of the step.
        amount: How much there is to do.
        out: Folder that it fills.
        work: Folder that outlives a killed process.
    """
    again = work is not None and any(work.iterdir())
    started = time.monotonic()
    yield
    if not again:
        seconds = time.monotonic() - started
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) if out else 0
        known = Known(job)
        cost = Cost(kind, seconds, size, amount, job.facts["model"], known.parameters, known.machine)
        note(job.store.root, cost)


def amount(job: Job, step: Step) -> float:
    """How much a step has to do: rows in all that it trains on, or that it measures a candidate by."""
    if step.training is not None:
        return len(job.splits.train) * float(step.training.epochs)
    return float(len(job.splits.validation))


class Known:
    """What earlier steps on this machine tell of a job's."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def machine(self) -> str:
        """This machine, where times are comparable."""
        return " ".join(str(self._job.machine.get(name)) for name in MACHINE)

    @cached_property
    def parameters(self) -> int | None:
        """Of the pretrained model, from the headers of its files."""
        place = self._job.model
        if not isinstance(place, Path | str):
            return None
        return checkpoint.parameters(source.folder(place))

    @cached_property
    def _costs(self) -> Sequence[Cost]:
        return [cost for cost in read(self._job.store.root) if cost.machine == self.machine and cost.amount > 0]

    def expected(self, kind: str, amount: float) -> Expected | None:
        """What a step of a kind will take; None where nothing tells.

        Those of the same model count, else those of models of a like size, whose times and bytes are taken to follow
        the number of parameters.
        """
        own = [cost for cost in self._costs if cost.kind == kind and cost.model == self._job.facts["model"]][-RECENT:]
        if own:
            return _scaled(own, amount, dict.fromkeys(own, 1.0), f"{_times(len(own))} with this model")
        ours = self.parameters
        if ours is None:
            return None
        like = {cost: ours / cost.parameters for cost in self._costs if cost.kind == kind and cost.parameters
                and 1 / ALIKE <= ours / cost.parameters <= ALIKE}  # fmt: skip
        recent = list(like)[-RECENT:]
        if not recent:
            return None
        return _scaled(recent, amount, like, f"{_times(len(recent))} with other models, by their parameters")


def _scaled(costs: Sequence[Cost], amount: float, larger: Mapping[Cost, float], basis: str) -> Expected:
    """The median of what they would have taken for so much to do."""
    seconds = statistics.median(cost.seconds / cost.amount * amount * larger[cost] for cost in costs)
    return Expected(seconds, int(statistics.median(cost.bytes * larger[cost] for cost in costs)), basis)


def _times(count: int) -> str:
    return "one earlier step" if count == 1 else f"{count} earlier steps"
