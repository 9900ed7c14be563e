"""What advice is made of: the situation of a model on a machine, and the words and figures of a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgesft.measure.explain.layer import Layer
from edgesft.measure.explain.roof import Roof

SMALL = 10
"""A node that takes less than so many empty ones is mostly being called: half its products would hardly show."""

LOST = 10.0
"""A layer that takes so many times its floor does not wait for its products: fewer or cheaper ones hardly show."""

NAMED = 3
"""Most names in a sentence."""


@dataclass(frozen=True)
class Advice:
    """One thing to try.

    Attributes:
        text: The sentence.
        gain: The model gets at most so many times faster; None where that cannot be told.
    """

    text: str
    gain: float | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Situation:
    """What advice is derived from.

    Attributes:
        layers: The longest first.
        roof: Of the machine.
    """

    layers: tuple[Layer, ...]
    roof: Roof

    def pick(self, operators: Iterable[str]) -> list[Layer]:
        """Layers of these types."""
        return [layer for layer in self.layers if layer.op in operators]

    def small(self, layer: Layer) -> bool:
        """Whether the layer's time is mostly that of calling it."""
        return layer.ns < SMALL * (self.roof.node_ns or 0) * layer.calls

    @property
    def weighty(self) -> list[Layer]:
        """Layers that multiply by weights and are not small."""
        return [layer for layer in self.layers if layer.form == "weights" and not self.small(layer)]

    @property
    def busy(self) -> list[Layer]:
        """Those of them whose time is that of their products."""
        return [layer for layer in self.weighty if (layer.distance or 1) < LOST]


def total(layers: Iterable[Layer]) -> float:
    """Share of the latency that these layers take."""
    return sum(layer.share for layer in layers)


def gain(share: float, times: float = math.inf) -> float:
    """Amdahl's law: how much faster the whole gets when this share gets so many times faster."""
    return 1 / max(1e-3, 1 - share + share / times)


def of_roof(layers: Sequence[Layer]) -> float | None:
    """Share of the roof that these layers reach together, or None where they have none."""
    bound = [layer for layer in layers if layer.floor_ns is not None and layer.bound != "dispatch"]
    return sum(layer.floor_ns or 0 for layer in bound) / max(1, sum(layer.ns for layer in bound)) if bound else None


def percent(share: float) -> str:
    """`31 %`."""
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def operators(layers: Sequence[Layer]) -> str:
    """`Conv 31 %, Add 4 %`: the types with the most time."""
    shares: dict[str, float] = {}
    for layer in layers:
        shares[layer.op] = shares.get(layer.op, 0.0) + layer.share
    ordered = sorted(shares.items(), key=lambda item: -item[1])[:NAMED]
    shown = [item for item in ordered if item[1] >= 0.01] or ordered[:1]
    return ", ".join(f"{op} {percent(share)}" for op, share in shown)


def names(layers: Sequence[Layer]) -> str:
    """`'conv1', 'conv2' …`: the first few."""
    more = " …" if len(layers) > NAMED else ""
    return ", ".join(f"'{layer.name}'" for layer in layers[:NAMED]) + more
