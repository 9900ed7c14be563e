"""How the requests come: one entry a scenario, each with what a turn of it is and what its turns tell together.

The names and their headline figures are MLPerf LoadGen's where it has them (`single-stream`: p90; `offline`:
throughput).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesft.budget.percentile import percentile
from edgesft.measure.replies import Turn
from edgesft.spec.profile import MeasureSpec, Scenario

NS_PER_MS = 1_000_000

PACED_MS = 100 / 3
"""From one request of `paced` to the next, where nothing else is said: a camera's 30 a second."""

Detail = dict[str, Any]
"""What a scenario tells besides the latencies: JSON values."""


@dataclass(frozen=True)
class Kind:
    """A scenario.

    Attributes:
        op: The agent's operation that makes a series.
        more: Further arguments of that operation.
        detail: What all the turns tell besides the latencies.
        gap_ns: Least nanoseconds from one inference to the next.
        raw: Whether raw rows go through a pipeline; otherwise requests are fed.
        steady: Whether the agent is kept and warmed up; otherwise each turn is a fresh process.
        alone: Whether a model has all its turns before the next model has one, so that it meets its own heat.
    """

    op: str = "time"
    more: Callable[[MeasureSpec], dict[str, int]] = lambda _: {}
    detail: Callable[[Sequence[Turn], MeasureSpec], Detail] = lambda *_: {}
    gap_ns: Callable[[MeasureSpec], int] = lambda _: 0
    raw: bool = False
    steady: bool = True
    alone: bool = False


def _interval_ns(settings: MeasureSpec) -> int:
    return round((settings.interval_ms or PACED_MS) * NS_PER_MS)


def _asked_ns(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds * NS_PER_MS)


def _paced(turns: Sequence[Turn], settings: MeasureSpec) -> Detail:
    """How many requests missed their deadline, and what the inferences alone took."""
    deadline_ns = _asked_ns(settings.deadline_ms) or _interval_ns(settings)
    samples = [ns for turn in turns for ns in turn.ns]
    served = [ns for turn in turns for ns in turn.detail["service_ns"]]
    return {
        "interval_ns": _interval_ns(settings),
        "deadline_ns": deadline_ns,
        "missed": sum(ns > deadline_ns for ns in samples),
        "requests": len(samples),
        "service_p50_ns": percentile(served, 50),
    }


def _flight(turns: Sequence[Turn], settings: MeasureSpec) -> Detail:
    """Requests a second, of all and of each round."""
    wall = [turn.detail["wall_ns"] for turn in turns]
    return {
        "streams": settings.streams,
        "how": turns[0].detail["how"],
        "throughput": sum(len(turn.ns) for turn in turns) / sum(wall) * 1e9,
        "throughputs": [len(turn.ns) / ns * 1e9 for turn, ns in zip(turns, wall, strict=True)],
    }


def _spans(turns: Sequence[Turn], settings: MeasureSpec) -> Detail:
    """What each span takes, and its share of the whole."""
    whole = sum(ns for turn in turns for ns in turn.ns)
    found = {}
    for name in ("before", "inference", "after"):
        samples = [ns for turn in turns for ns in turn.detail[f"{name}_ns"]]
        found[name] = {"p50_ns": percentile(samples, 50), "p90_ns": percentile(samples, 90)}
        found[name]["share"] = sum(samples) / whole
    return {"spans": found}


def _pipeline(turns: Sequence[Turn], settings: MeasureSpec) -> Detail:
    """What became of the rows, and how many a second: of all and of each round, in the pipeline and in the plain loop.

    Where rows come at a fixed rate, their throughput tells of that rate, so that nothing is made of it.
    """
    interval_ns, deadline_ns = _asked_ns(settings.interval_ms), _asked_ns(settings.deadline_ms)
    alone = [ns for turn in turns for ns in turn.detail["loop_ns"]]
    # None was answered where it is 0.
    walls = [max(1, turn.detail["steady_ns"]) for turn in turns]
    loop_walls = [turn.detail["loop_wall_ns"] for turn in turns]
    answered = [len(turn.ns) for turn in turns]
    throughput, loop_throughput = sum(answered) / sum(walls) * 1e9, len(alone) / sum(loop_walls) * 1e9
    found = {
        "sessions": settings.streams,
        "queue": settings.queue,
        "interval_ns": interval_ns,
        "deadline_ns": deadline_ns,
        "rows": sum(answered) + sum(turn.lost for turn in turns),
        "answered": sum(answered),
        "dropped": sum(turn.detail["dropped"] for turn in turns),
        "late": sum(turn.detail["late"] for turn in turns),
        "overdue": sum(ns > deadline_ns for turn in turns for ns in turn.ns) if deadline_ns else 0,
        "throughput": throughput,
        "throughputs": [count / ns * 1e9 for count, ns in zip(answered, walls, strict=True)],
        "loop_throughput": loop_throughput,
        "loop_throughputs": [
            len(turn.detail["loop_ns"]) / ns * 1e9 for turn, ns in zip(turns, loop_walls, strict=True)
        ],
        "speed_up": throughput / loop_throughput if interval_ns is None else None,
        "loop_p50_ns": percentile(alone, 50),
    }
    return {"pipeline": found}


def _minutes(turns: Sequence[Turn], settings: MeasureSpec) -> Detail:
    """Each minute's median, and what the machine was like at its end."""
    minutes = [{"p50_ns": percentile(turn.ns, 50), "n": len(turn.ns), **turn.detail} for turn in turns]
    return {"minutes": minutes}


def _starts(turns: Sequence[Turn], settings: MeasureSpec) -> Detail:
    """What loading and the first inference took, each in a process of its own."""
    return {name: [turn.detail[name] for turn in turns] for name in ("load_ns", "first_ns", "evicted")}


def _streams(settings: MeasureSpec) -> dict[str, int]:
    return {"streams": settings.streams}


def _overlapping(settings: MeasureSpec) -> dict[str, int]:
    asked = {"interval_ns": _asked_ns(settings.interval_ms), "deadline_ns": _asked_ns(settings.deadline_ms)}
    told = {name: ns for name, ns in asked.items() if ns is not None}
    return {"streams": settings.streams, "queue": settings.queue, **told}


KINDS: Mapping[Scenario, Kind] = {
    "single-stream": Kind(),
    "paced": Kind("paced", lambda settings: {"interval_ns": _interval_ns(settings)}, _paced, gap_ns=_interval_ns),
    "multi-stream": Kind("flight", _streams, _flight),
    "offline": Kind("flight", _streams, _flight),
    "sustained": Kind(detail=_minutes, alone=True),
    "cold": Kind(detail=_starts, steady=False),
    "end-to-end": Kind("spans", detail=_spans, raw=True),
    "pipeline": Kind(
        "pipelined", _overlapping, _pipeline, gap_ns=lambda settings: _asked_ns(settings.interval_ms) or 0, raw=True
    ),
}
"""Scenario → what it is."""


def arrivals(scenario: str, detail: Mapping[str, Any]) -> str:
    """How requests came, with the settings that latency depends on: `paced, every 33.3 ms`.

    Args:
        scenario: Its name.
        detail: What its turns told together; some devices do not tell of their settings.
    """
    told = detail.get("pipeline", detail)
    late = told.get("deadline_ns") if "pipeline" in detail else None  # Others only count what is late.
    words = [
        f"{told['streams']} in flight" if told.get("streams") else "",
        f"{told['sessions']} sessions" if told.get("sessions") else "",
        f"queue of {told['queue']}" if told.get("queue") else "",
        f"every {_milliseconds(told['interval_ns'])}" if told.get("interval_ns") else "",
        f"given up after {_milliseconds(late)}" if late else "",
        f"{len(told['minutes'])} minutes" if told.get("minutes") else "",
    ]
    return ", ".join(filter(None, (scenario, *words)))


def _milliseconds(ns: int) -> str:
    """`33.3 ms`: three digits."""
    return f"{float(f'{ns / NS_PER_MS:.3g}'):g} ms"


RAW = tuple(name for name, kind in KINDS.items() if kind.raw)
"""Scenarios that take raw rows."""
