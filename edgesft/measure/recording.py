"""Measurements taken elsewhere: what an agent on a board, phone or browser wrote by itself (export/PROTOCOL.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from edgesft.measure.agent import conditions, machine
from edgesft.measure.answers import OPENING, SERIES, SETTINGS, Answer, groups, provider
from edgesft.measure.measurement import Measurement
from edgesft.measure.replies import Turn
from edgesft.measure.scenario import KINDS, NS_PER_MS
from edgesft.spec.profile import MeasureSpec, Scenario

SCENARIOS: dict[str, Scenario] = {"time": "single-stream", "paced": "paced", "flight": "multi-stream"}
"""Operation of a series → the scenario that it is of."""

LONG_TIMES, LONG_NS = 1000, 1_000_000_000
"""A sample above both so many medians and so many nanoseconds is suspicious: no scheduler keeps a thread waiting so."""

SHOWN = 3
"""Suspicious samples that are named; of more there is the number."""

INPUTS = "chosen by the device"

SAME = (
    *("scenario", "provider", "threads", "options", "runtime", "runtime_bytes", "machine", "states", "simulated"),
    "io",
)
PLACED = ("placement", "partitions", "left")
"""Both must be alike in measurements that are taken together."""


@dataclass(frozen=True)
class Recording:
    """What a device wrote of one model; merged, of several processes.

    Attributes:
        model_name: Name of the file that was loaded.
        model_bytes: Its size.
        model_sha256: Its digest in lower case, or None where the device does not tell.
        measurement: What was measured. Fields of the machine that the device does not tell are None.
        line: Where it begins in the file, from 1.
        suspicions: Why its times decide nothing, though each by itself may be true; empty where nothing is odd.
        series: The lines of its samples.
        openings: Nanoseconds of what begins an answer, by line; None where an answer takes one inference.
    """

    model_name: str
    model_bytes: int
    model_sha256: str | None
    measurement: Measurement
    line: int
    suspicions: tuple[str, ...] = ()
    series: tuple[Answer, ...] = field(default=(), repr=False)
    openings: tuple[tuple[int, ...], ...] | None = field(default=None, repr=False)


def recordings(path: Path) -> list[Recording]:
    """Every recording of a file, in order; each begins with `info`.

    Raises:
        InputError: The file cannot be read, is no such file, or lacks something (`answers.groups`).
    """
    return [_recording(group) for group in groups(path)]


def merged(found: Sequence[Recording]) -> list[Recording]:
    """Takes recordings together that are alike in everything but what was timed; each is of a fresh process.

    Alike are the model's digest (or name and size, where a device tells none), the scenario and its settings, provider,
    threads, runtime, machine, states and placement. Rounds, loads, first inferences and conditions stand one after
    another; the warm-up was stable if each was; memory is that of the process which took most.

    Args:
        found: In the order they were taken; the result keeps the order of the first of each.
    """
    groups: dict[str, list[Recording]] = {}
    for each in found:
        groups.setdefault(_likeness(each), []).append(each)
    return [_merged(group) for group in groups.values()]


def _likeness(recording: Recording) -> str:
    """A text that is the same for recordings that may be taken together."""
    measured = recording.measurement
    model = recording.model_sha256 or [recording.model_name, recording.model_bytes]
    told = [getattr(measured, name) for name in (*SAME, *PLACED)]
    settings = [recording.series[0].get(name) for name in SETTINGS.values()]
    return json.dumps([model, told, settings], sort_keys=True)


def _merged(group: Sequence[Recording]) -> Recording:
    if len(group) == 1:
        return group[0]
    every = [each.measurement for each in group]
    series = tuple(answer for each in group for answer in each.series)
    largest = max(every, key=lambda each: each.peak_memory_bytes or 0)
    measurement = replace(
        every[0],
        **_timed(series, every[0].simulated),
        conditions=tuple(state for each in every for state in each.conditions),
        loads_ns=tuple(ns for each in every for ns in each.loads_ns),
        firsts_ns=tuple(ns for each in every for ns in each.firsts_ns),
        warmup_samples=sum(each.warmup_samples for each in every),
        warmup_stable=all(each.warmup_stable for each in every),
        peak_memory_bytes=largest.peak_memory_bytes,
        baseline_memory_bytes=largest.baseline_memory_bytes,
    )
    begun = [each.openings for each in group if each.openings is not None]
    openings = tuple(ns for each in begun for ns in each) if begun else None
    told: dict[str, Any] = {"suspicions": _suspicions(series), "series": series, "openings": openings}
    return replace(group[0], measurement=measurement, **told)


def _recording(group: Sequence[Answer]) -> Recording:
    by_op = {each.op: each for each in group}
    info, load, model = by_op["info"], by_op["load"], by_op["model"]
    none = Answer(0, "", {})
    warm_up, memory, feedback = (by_op.get(op, none) for op in ("warm_up", "memory", "feedback"))
    series = tuple(each for each in group if each.op in SERIES)
    simulated = load.get("simulated")
    measurement = Measurement(
        **_timed(series, simulated),
        scenario=SCENARIOS[series[0].op],
        provider=provider(load) or "",
        threads=load.get("threads"),
        options={},
        runtime=info.get("runtime"),
        machine=dict.fromkeys(machine()) | info.get("machine"),
        runtime_bytes=info.get("runtime_bytes"),
        conditions=tuple(dict.fromkeys(conditions()) | _without_op(each) for each in group if each.op == "state"),
        loads_ns=() if simulated else (load.get("load_ns"),),
        firsts_ns=() if simulated else (by_op["first"].get("ns"),),
        warmup_samples=warm_up.get("samples") or 0,
        warmup_stable=bool(warm_up.get("stable")),
        peak_memory_bytes=None if simulated else memory.get("peak_bytes"),
        baseline_memory_bytes=None if simulated else memory.get("baseline_bytes"),
        placement=load.get("placement"),
        partitions=load.get("partitions"),
        left=load.get("left"),
        inputs=INPUTS,
        lengths=None,
        axis=None,
        states=feedback.get("states") or {},
        simulated=simulated,
        io=load.get("io") or "host",
    )
    digest = str(model.get("sha256") or "").lower() or None
    name, size = model.get("name"), model.get("bytes")
    begun = [tuple(each.get("ns")) for each in group if each.op == OPENING]
    openings = None if not begun else () if simulated else tuple(begun)
    return Recording(name, size, digest, measurement, info.line, _suspicions(series), series, openings)


def _without_op(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.fields.items() if name != "op"}


def _timed(series: Sequence[Answer], simulated: str | None) -> dict[str, Any]:
    """What of a measurement comes from its series: nothing where the hardware was simulated."""
    if simulated:
        return {"rounds": (), "energy_uj": None, "detail": {}}
    turns = [Turn(tuple(each.get("ns")), each.get("energy_uj"), _without_op(each)) for each in series]
    energies = [turn.energy_uj for turn in turns if turn.energy_uj is not None]
    told = len(energies) == len(turns)
    return {
        "rounds": tuple(turn.ns for turn in turns),
        "energy_uj": sum(energies) // sum(len(turn.ns) for turn in turns) if told else None,
        "detail": _detail(series[0], turns),
    }


def _detail(first: Answer, turns: Sequence[Turn]) -> dict[str, Any]:
    """What the scenario tells besides the latencies, as far as the device says how the requests came."""
    told = first.get(SETTINGS.get(first.op, ""))
    if told is None:
        return {}
    settings = MeasureSpec(interval_ms=told / NS_PER_MS) if first.op == "paced" else MeasureSpec(streams=told)
    return KINDS[SCENARIOS[first.op]].detail(turns, settings)


def _suspicions(series: Sequence[Answer]) -> tuple[str, ...]:
    """Samples that are means, and those that no model takes: did the device stall, or its clock jump forward?"""
    middle = median(ns for each in series for ns in each.get("ns"))
    found = [
        f"the device slept, or its clock jumped: line {each.line}, sample {place} took {round(ns / 1e9, 1):g} s "
        f"where the median is {middle / NS_PER_MS:.3g} ms"
        for each in series
        for place, ns in enumerate(each.get("ns"), 1)
        if ns > LONG_NS and ns > LONG_TIMES * middle
    ]
    more = [f"and {len(found) - SHOWN} more such samples"] if len(found) > SHOWN else []
    batch = max(each.get("batch") or 1 for each in series)
    means = [f"a sample is the mean of {batch} inferences, for the device's clock is coarse"] if batch > 1 else []
    return (*means, *found[:SHOWN], *more)
