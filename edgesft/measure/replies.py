"""What a measuring agent answers, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgesft.measure.model.fixed import Fixed
from edgesft.spec.profile import Io


@dataclass(frozen=True)
class Value:
    """An input or output of a graph.

    Attributes:
        name: Its name.
        dtype: Of its elements, as numpy spells it; `string` for text.
        shape: Each axis: its size, its name, or None where the file names it not.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class Loaded:
    """What loading a model told.

    Attributes:
        load_ns: Nanoseconds to create the session.
        placement: Provider → number of nodes, or None where the runtime does not tell.
        partitions: Subgraphs on the asked provider, or None.
        left: Type of operator → number of nodes that are not on the asked provider, or None.
        inputs: The graph's inputs.
        outputs: The graph's outputs.
        simulated: What stands in for the hardware, so that times say nothing; None where nothing does.
        fixed: Axes that were free before, which the agent pads requests to; None where none was.
        io: Where inputs lie before an inference and outputs after it: `host`, or `device` for the provider's memory.
    """

    load_ns: int
    placement: dict[str, int] | None
    partitions: int | None
    left: dict[str, int] | None
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    simulated: str | None = None
    fixed: Fixed | None = None
    io: Io = "host"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Loaded:
        """The answer to `load`."""
        ins, outs = (
            tuple(Value(each["name"], each["dtype"], tuple(each["shape"])) for each in data[name])
            for name in ("inputs", "outputs")
        )
        placed = (data["placement"], data["partitions"], data["left"])
        fixed = Fixed.from_json(json.loads(data["fixed"])) if data.get("fixed") else None
        return cls(data["load_ns"], *placed, ins, outs, data.get("simulated"), fixed, data.get("io", "host"))


@dataclass(frozen=True)
class Turn:
    """What one series of inferences took.

    Attributes:
        ns: Nanoseconds of each inference.
        energy_uj: Microjoules of the processor's packages, or None.
        detail: What else the kind of series tells: `service_ns`, `wall_ns`, `how`, `before_ns` …
    """

    ns: tuple[int, ...]
    energy_uj: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Rows that got no answer, for which there is no sample."""
        return int(self.detail.get("dropped", 0) + self.detail.get("late", 0))


@dataclass(frozen=True)
class Warmup:
    """What the warm-up found.

    Attributes:
        samples: Inferences it took.
        stable: Whether the median settled.
        typical_ns: Median nanoseconds of the last block.
    """

    samples: int
    stable: bool
    typical_ns: int
