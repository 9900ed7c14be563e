"""The measurement of one model, with what is needed to judge whether its numbers can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from edgesft.budget.percentile import NEVER, percentile
from edgesft.budget.steadiness import Steadiness, steadiness
from edgesft.measure.devices import HERE
from edgesft.measure.others import OTHERS, disturbed
from edgesft.spec.profile import Io

SAME = (
    *("scenario", "provider", "threads", "options", "runtime", "runtime_bytes", "machine", "inputs", "states"),
    *("peak_memory_bytes", "baseline_memory_bytes", "energy_uj", "placement", "partitions", "left", "detail", "axis"),
)
"""Attributes whose JSON form is their own value under their own name."""


STAYS = "inputs and outputs in the accelerator's memory, so that no copy to or from it is in the latency"
"""What `io: device` means, beside numbers that were taken so."""


def untimed(simulated: str) -> str:
    """Why nothing is timed on what stands in for the hardware."""
    return f"it ran on {simulated}: that proves placement and answers, never latency"


def judged(rounds: Sequence[Sequence[int]], lost: Sequence[int]) -> Sequence[Sequence[int]]:
    """Rounds in which each row that got no answer took for ever.

    Without those, the more rows were dropped the better the percentiles would be.

    Args:
        rounds: Nanoseconds of each row that was answered, by round.
        lost: How many were not, by round; empty where none was.
    """
    if not lost:
        return rounds
    return tuple((*taken, *(NEVER,) * gone) for taken, gone in zip(rounds, lost, strict=True))


@dataclass(frozen=True)
class Measurement:
    """Timings of one model on one provider; nanoseconds and bytes are integers.

    Attributes:
        scenario: How the requests came.
        provider: Execution provider that was asked for.
        threads: Intra-op threads.
        options: The provider's options, and what differs from the session's defaults.
        runtime: Version of onnxruntime.
        machine: The agent's machine (`agent.machine`).
        runtime_bytes: The runtime's libraries on the disk.
        conditions: Load, temperature, clock and throttling of the machine before and after; at last the cores on which
            other programs were busy meanwhile, where that is known.
        rounds: Nanoseconds of each inference, by round, in the order they were taken.
        loads_ns: Session creations, each in a fresh process.
        firsts_ns: First inference after each of those.
        warmup_samples: Inferences before the first round.
        warmup_stable: Whether the running median settled before the limit of the warm-up.
        peak_memory_bytes: Most resident memory of the process that ran only this model, or None where unknown.
        baseline_memory_bytes: The same just before the model was loaded.
        placement: Provider → nodes, or None where the runtime does not tell.
        partitions: Subgraphs on the provider, or None.
        left: Type of operator → nodes that are not on the provider, or None.
        inputs: What was fed.
        lengths: Length of each sample's request, or None where all are alike.
        axis: What that length is the length of.
        states: Input → output that was fed back into it.
        energy_uj: Microjoules of the processor's packages for one inference, or None where unreadable.
        detail: What the scenario tells besides the latencies.
        device: What the person calls the place where it was taken.
        simulated: What stood in for the hardware; then nothing was timed, and rounds, loads and memory are empty.
        lost: Rows of each round that got no answer, and are missing in `rounds`; empty where there is none.
        io: Where inputs lay before an inference and outputs after it; with `host`, copies are part of the latency.
    """

    scenario: str
    provider: str
    threads: int
    options: Mapping[str, str]
    runtime: str
    machine: Mapping[str, Any]
    runtime_bytes: int
    conditions: tuple[Mapping[str, Any], ...]
    rounds: tuple[tuple[int, ...], ...]
    loads_ns: tuple[int, ...]
    firsts_ns: tuple[int, ...]
    warmup_samples: int
    warmup_stable: bool
    peak_memory_bytes: int | None
    baseline_memory_bytes: int | None
    placement: dict[str, int] | None
    partitions: int | None
    left: dict[str, int] | None
    inputs: str
    lengths: tuple[int, ...] | None
    axis: str | None
    states: Mapping[str, str]
    energy_uj: int | None
    detail: Mapping[str, Any]
    device: str = HERE.label
    simulated: str | None = None
    lost: tuple[int, ...] = ()
    io: Io = "host"

    @property
    def samples(self) -> tuple[int, ...]:
        """Every timed inference."""
        return tuple(sample for taken in self.rounds for sample in taken)

    @property
    def judged(self) -> Sequence[Sequence[int]]:
        """The rounds as limits and comparisons take them: a row without an answer took for ever."""
        return judged(self.rounds, self.lost)

    @property
    def load_ns(self) -> int | None:
        """Median of the session creations."""
        return percentile(self.loads_ns, 50) if self.loads_ns else None

    @property
    def first_ns(self) -> int | None:
        """Median of the first inferences."""
        return percentile(self.firsts_ns, 50) if self.firsts_ns else None

    @property
    def share(self) -> float | None:
        """Share of the nodes that are on the provider."""
        if not self.placement:
            return None
        return self.placement.get(self.provider, 0) / sum(self.placement.values())

    @cached_property
    def steadiness(self) -> Steadiness | None:
        """How still the machine held; None where nothing was timed."""
        return steadiness(self.rounds, warm=self.warmup_stable) if any(self.rounds) else None

    @property
    def untimed(self) -> str | None:
        """Why nothing was timed; None where something was."""
        return untimed(self.simulated) if self.simulated else None

    @property
    def unsteady(self) -> tuple[str, ...]:
        """Why absolute times decide nothing; empty where they are sound, or there are none."""
        return self.steadiness.problems if self.steadiness else ()

    @property
    def disturbed(self) -> tuple[str, ...]:
        """What other programs did meanwhile, which no sample tells; empty where they did little, or it is not known."""
        return disturbed(self.conditions[-1].get(OTHERS)) if self.conditions else ()

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`; derived figures are included for other readers."""
        return {
            "scenario": self.scenario,
            "provider": self.provider,
            "threads": self.threads,
            "options": dict(self.options),
            "runtime": self.runtime,
            "runtime_bytes": self.runtime_bytes,
            "machine": dict(self.machine),
            "conditions": [dict(each) for each in self.conditions],
            "inputs": self.inputs,
            "states": dict(self.states),
            "load_ns": self.load_ns,
            "loads_ns": list(self.loads_ns),
            "first_ns": self.first_ns,
            "firsts_ns": list(self.firsts_ns),
            "warmup": {"samples": self.warmup_samples, "stable": self.warmup_stable},
            "peak_memory_bytes": self.peak_memory_bytes,
            "baseline_memory_bytes": self.baseline_memory_bytes,
            "energy_uj": self.energy_uj,
            "placement": self.placement,
            "partitions": self.partitions,
            "left": self.left,
            "share": self.share,
            **{name: getattr(self.steadiness, name, None) for name in ("drift", "autocorrelation", "spread", "grade")},
            "unsteady": list(self.unsteady),
            "disturbed": list(self.disturbed),
            "detail": dict(self.detail),
            "device": self.device,
            "io": self.io,
            "simulated": self.simulated,
            "axis": self.axis,
            "lengths": None if self.lengths is None else list(self.lengths),
            "lost": list(self.lost),
            "rounds_ns": [list(taken) for taken in self.rounds],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Inverse of `to_json`."""
        same = {name: data[name] for name in SAME}
        return cls(
            **same,
            **{name: data[name] for name in ("device", "simulated", "io") if name in data},
            conditions=tuple(data["conditions"]),
            rounds=tuple(tuple(taken) for taken in data["rounds_ns"]),
            loads_ns=tuple(data["loads_ns"]),
            firsts_ns=tuple(data["firsts_ns"]),
            lengths=None if data["lengths"] is None else tuple(data["lengths"]),
            lost=tuple(data.get("lost", ())),
            warmup_samples=data["warmup"]["samples"],
            warmup_stable=data["warmup"]["stable"],
        )


def in_turn(parts: Sequence[Measurement]) -> Measurement:
    """What runs one behind the other for one answer, each measured in a process of its own.

    Models that are measured together take the same requests in each round, so that samples of one place are of one
    request: they are added.

    Args:
        parts: In the order in which they run, at least one; the last one's facts stand for all.
    """
    *before, last = parts
    if not before:
        return last
    return replace(
        last,
        rounds=tuple(_summed(taken) for taken in zip(*(each.rounds for each in parts), strict=True)),
        loads_ns=_summed([each.loads_ns for each in parts]),
        firsts_ns=_summed([each.firsts_ns for each in parts]),
        peak_memory_bytes=_peak(before, last),
        lengths=None,
        axis=None,
    )


def _summed(taken: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*taken, strict=False)))


def _peak(before: Sequence[Measurement], last: Measurement) -> int | None:
    """Of one process that holds them all: what each added to its own."""
    peak = last.peak_memory_bytes
    for each in before:
        if peak is None or each.peak_memory_bytes is None or each.baseline_memory_bytes is None:
            return None
        peak += each.peak_memory_bytes - each.baseline_memory_bytes
    return peak
