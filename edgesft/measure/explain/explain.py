"""Where a model's time goes, how far that is from what the machine can do, and what to try next."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesft.measure.explain.advice import Advice, Situation
from edgesft.measure.explain.layer import Layer, layers
from edgesft.measure.explain.roof import Roof
from edgesft.measure.explain.rules import advise

TOP = 10
"""Layers that are shown."""


@dataclass(frozen=True)
class Operator:
    """All nodes of one type; figures are of one inference.

    Attributes:
        op: Type of operator.
        calls: Nodes, those of loops as often as they run.
        ns: Time.
        share: Of the model's latency.
        macs: Multiply-accumulates, or None where none were counted.
    """

    op: str
    calls: int
    ns: int
    share: float
    macs: int | None

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return dict(vars(self))


@dataclass(frozen=True)
class Explanation:
    """Where the time of one inference goes.

    Attributes:
        latency_ns: Without the profiler; shares are of this.
        profiled_ns: Median under the profiler, which slows small nodes down.
        layers: Every node, the longest first; their times are without what the profiler adds (`layer.undisturbed`).
        operators: The same by type, the longest first.
        providers: Provider → share of the nodes' time.
        roof: What the machine can do.
        advice: What to try, the most promising first.
    """

    latency_ns: int
    profiled_ns: int
    layers: tuple[Layer, ...]
    operators: tuple[Operator, ...]
    providers: Mapping[str, float]
    roof: Roof
    advice: tuple[Advice, ...]

    @property
    def top(self) -> tuple[Layer, ...]:
        """The ten longest layers."""
        return self.layers[:TOP]

    @property
    def nodes_ns(self) -> int:
        """Time of all nodes."""
        return sum(layer.ns for layer in self.layers)

    @property
    def overhead_ns(self) -> int:
        """What is spent on calling nodes, at the price of those that do nothing, and between them.

        It cannot be told apart from the time of the single node, which includes it.
        """
        called = sum(layer.calls for layer in self.layers) * (self.roof.node_ns or 0)
        return min(self.latency_ns, max(0, self.latency_ns - self.nodes_ns) + called)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all nodes of which they are known."""
        return sum(layer.macs or 0 for layer in self.layers)

    @property
    def floor_ns(self) -> int | None:
        """What the model would take if every node took its floor, or None where no roof was measured."""
        floors = [layer.floor_ns for layer in self.layers if layer.floor_ns is not None]
        return sum(floors) if floors else None

    @property
    def distance(self) -> float | None:
        """Latency over floor."""
        return self.latency_ns / self.floor_ns if self.floor_ns else None

    def to_json(self) -> dict[str, Any]:
        """JSON form, with the ten longest layers."""
        return {
            "latency_ns": self.latency_ns,
            "profiled_ns": self.profiled_ns,
            "nodes_ns": self.nodes_ns,
            "overhead_ns": self.overhead_ns,
            "macs": self.macs,
            "floor_ns": self.floor_ns,
            "distance": self.distance,
            "operators": [operator.to_json() for operator in self.operators],
            "layers": [layer.to_json() for layer in self.top],
            "providers": dict(self.providers),
            "roof": self.roof.to_json(),
            "advice": [advice.to_json() for advice in self.advice],
        }


def explain(profile: Mapping[str, Any], roof: Roof, latency_ns: int) -> Explanation:
    """Breaks one inference down.

    Args:
        profile: The agent's `profile`, best completed by `work.with_weights`.
        roof: Of the same machine, provider and threads.
        latency_ns: Median of inferences without the profiler.

    Raises:
        MeasureError: The profile is empty.
    """
    found = layers(profile, roof, latency_ns)
    return Explanation(
        latency_ns=latency_ns,
        profiled_ns=round(statistics.median(profile["run_ns"])),
        layers=found,
        operators=_operators(found, latency_ns),
        providers=_providers(found),
        roof=roof,
        advice=advise(Situation(found, roof)),
    )


def _operators(found: tuple[Layer, ...], latency_ns: int) -> tuple[Operator, ...]:
    groups: dict[str, list[Layer]] = {}
    for layer in found:
        groups.setdefault(layer.op, []).append(layer)
    operators = []
    for op, members in groups.items():
        ns, macs = sum(layer.ns for layer in members), [layer.macs for layer in members if layer.macs is not None]
        calls = sum(layer.calls for layer in members)
        operators.append(Operator(op, calls, ns, ns / latency_ns, sum(macs) if macs else None))
    return tuple(sorted(operators, key=lambda operator: -operator.ns))


def _providers(found: tuple[Layer, ...]) -> dict[str, float]:
    total = max(1, sum(layer.ns for layer in found))
    names = dict.fromkeys(layer.provider for layer in found)
    return {name: sum(layer.ns for layer in found if layer.provider == name) / total for name in names}
