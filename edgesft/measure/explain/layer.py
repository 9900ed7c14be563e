"""Each node of a profile with its time, its work and the least time that the machine's roof leaves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgesft.measure.driver import MeasureError
from edgesft.measure.explain.roof import Roof
from edgesft.measure.explain.work import Arithmetic, Form, Node, Work, work

Bound = Literal["products", "memory", "dispatch"]
"""What keeps a layer from being faster than its floor."""

CONTAINERS = ("If", "Loop", "Scan")
"""Their time is that of the nodes within, which a profile has, too."""


@dataclass(frozen=True)
class Layer:
    """One node of the graph that the runtime made of the model; figures are of one inference.

    Attributes:
        name: As the runtime names it.
        op: Type of operator.
        provider: Where it runs.
        calls: How often it runs; more than once in a loop.
        ns: Time, the profiler's own left out.
        share: Of the model's latency.
        macs: Multiply-accumulates, or None (`work.Work`).
        moved_bytes: Inputs and outputs, or None.
        arithmetic: What it multiplies, or None.
        form: What it multiplies the activations with, or None.
        floor_ns: It can take no less under the roof, or None where there is none.
        bound: What sets the floor, or None where there is none.
    """

    name: str
    op: str
    provider: str
    calls: int
    ns: int
    share: float
    macs: int | None
    moved_bytes: int | None
    arithmetic: Arithmetic | None
    form: Form | None
    floor_ns: int | None
    bound: Bound | None

    @property
    def distance(self) -> float | None:
        """Time over floor; None for operators that make no products and move little, of which no floor says much."""
        if not self.floor_ns or (self.macs is None and self.bound == "dispatch"):
            return None
        return self.ns / self.floor_ns

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {**vars(self), "distance": self.distance}


def layers(profile: Mapping[str, Any], roof: Roof, latency_ns: int) -> tuple[Layer, ...]:
    """The nodes of a profile, the longest first.

    Args:
        profile: The agent's `profile`.
        roof: Of the same machine, provider and threads.
        latency_ns: Median of inferences without the profiler.

    Raises:
        MeasureError: The profile is empty.
    """
    nodes = [node for node in profile["nodes"] if node["op"] not in CONTAINERS]
    runs = len(profile["run_ns"])
    if not nodes or not runs:
        raise MeasureError(f"a profile must hold nodes and runs, got {len(nodes)} nodes of {runs} runs")
    times = undisturbed([node["ns"] for node in nodes], [node["calls"] for node in nodes], latency_ns * runs)
    found = [_layer(node, time / runs, runs, roof, latency_ns) for node, time in zip(nodes, times, strict=True)]
    return tuple(sorted(found, key=lambda layer: -layer.ns))


def undisturbed(times: Sequence[int], calls: Sequence[int], latency_ns: int) -> list[float]:
    """Times of nodes without what the profiler added.

    ONNX Runtime reads a node's clock before it writes the shapes of its inputs down and after those of its outputs
    (`KernelScope` in its sequential_executor.cc): some microseconds that are the same for a scalar and for a large
    product, and three quarters of the time of a model of many small nodes. So what the nodes take more than the
    inferences do without the profiler is taken off in equal parts, but never more than the shortest node took. Where
    the rest is still more, the profiler slowed everything, and all is scaled.

    Args:
        times: Of each node, over all runs.
        calls: The same.
        latency_ns: Of as many runs without the profiler.

    Returns:
        Times that together are at most the latency.
    """
    excess = max(0, sum(times) - latency_ns) / sum(calls)
    added = min(excess, *(time / count for time, count in zip(times, calls, strict=True)))
    own = [time - added * count for time, count in zip(times, calls, strict=True)]
    scale = min(1.0, latency_ns / max(1.0, sum(own)))
    return [time * scale for time in own]


def _layer(node: Node, ns: float, runs: int, roof: Roof, latency_ns: int) -> Layer:
    done, calls = work(node), max(1, round(node["calls"] / runs))
    floor, bound = _floor(done, roof)
    return Layer(
        name=node["name"],
        op=node["op"],
        provider=node["provider"],
        calls=calls,
        ns=round(ns),
        share=ns / latency_ns,
        macs=None if done.macs is None else done.macs * calls,
        moved_bytes=None if done.moved_bytes is None else done.moved_bytes * calls,
        arithmetic=done.arithmetic,
        form=done.form,
        floor_ns=None if floor is None else round(floor * calls),
        bound=bound,
    )


def _floor(done: Work, roof: Roof) -> tuple[float | None, Bound | None]:
    """The least nanoseconds of one call: its products at the peak, its memory traffic, or just being called.

    Small tensors never leave the caches, whose speed the roof does not have. Only what one call touches beyond the
    last-level cache must come from memory or go there, so that only this counts; nothing where the cache is unknown.
    """
    floors: list[tuple[float, Bound]] = []
    peak = roof.peak(done.arithmetic)
    if done.macs is not None and peak:
        floors.append((done.macs * 1e9 / peak, "products"))
    if done.moved_bytes is not None and roof.cache_bytes is not None and roof.bytes_per_second:
        beyond = max(0, done.moved_bytes - roof.cache_bytes)
        floors.append((beyond * 1e9 / roof.bytes_per_second, "memory"))
    if roof.node_ns is not None:
        floors.append((float(roof.node_ns), "dispatch"))
    return max(floors, default=(None, None))
