"""What a model costs with its widths at other sizes: counted in parameters, or from a table of measured latencies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from edgesft.stages.prune.knapsack import cheapest_harm
from edgesft.stages.prune.layout import Layout, Width
from edgesft.stages.prune.sizes import between, measured

Sizes = Mapping[str, int]
"""Width → units that it keeps."""


@dataclass(frozen=True)
class Costs(ABC):
    """A cost, as a share of the whole model's, that adds up over the blocks while the streams are what they are.

    Attributes:
        layout: The widths that may shrink.
        allowed: Width → the sizes that it may have, falling.
    """

    layout: Layout
    allowed: Mapping[str, tuple[int, ...]]

    @abstractmethod
    def rest(self, streams: Sizes) -> float:
        """What everything but the blocks costs."""

    @abstractmethod
    def block(self, width: Width, streams: Sizes) -> np.ndarray:
        """What a block costs at each of its allowed sizes; shape [sizes]."""

    @property
    def blocks(self) -> list[Width]:
        """The widths inside of branches."""
        return [width for width in self.layout.widths if width.kind != "hidden"]

    @property
    def streams(self) -> list[Width]:
        """The widths that the branches read and write."""
        return [width for width in self.layout.widths if width.kind == "hidden"]

    def total(self, sizes: Sizes) -> float:
        """The cost with these sizes."""
        streams = {width.name: sizes[width.name] for width in self.streams}
        found = self.rest(streams)
        for width in self.blocks:
            found += self.block(width, streams)[self.allowed[width.name].index(sizes[width.name])]
        return float(found)

    def choose(self, harms: Mapping[str, np.ndarray], budget: float) -> Sizes | None:
        """The sizes that do the least harm, which is taken to add up, for a cost of no more than `budget`.

        Args:
            harms: Width → the harm at each of its allowed sizes.
            budget: A share of the whole model's cost.

        Returns:
            None where even the smallest model costs more.
        """
        best, least = None, np.inf
        rungs = [measured(self.allowed[width.name]) for width in self.streams]
        for combination in product(*rungs):
            streams = {width.name: size for width, size in zip(self.streams, combination, strict=True)}
            costs = [self.block(width, streams) for width in self.blocks]
            harm = [harms[width.name] for width in self.blocks]
            picked = cheapest_harm(costs, harm, budget - self.rest(streams))
            if picked is None:
                continue
            done = sum(harms[name][self.allowed[name].index(size)] for name, size in streams.items())
            done += sum(each[option] for each, option in zip(harm, picked, strict=True))
            if done < least:
                chosen = zip(self.blocks, picked, strict=True)
                best = {**streams, **{width.name: self.allowed[width.name][option] for width, option in chosen}}
                least = done
        return best


class Parameters(Costs):
    """The model's parameters, counted."""

    def rest(self, streams: Sizes) -> float:
        """See `Costs.rest`."""
        whole = self.layout.parameters(streams) / self.layout.parameters()
        return whole - sum(float(self.block(width, streams)[0]) for width in self.blocks)

    def block(self, width: Width, streams: Sizes) -> np.ndarray:
        """See `Costs.block`."""
        if width.linear:
            sized = [self.layout.parameters({**streams, width.name: size}) for size in self.allowed[width.name]]
            return (np.asarray(sized) - min(sized)) / self.layout.parameters()
        # Linear in the size; with nothing left of it more may go, or less.
        none, one, two = (self.layout.parameters({**streams, width.name: size}) for size in (0, 1, 2))
        sizes = np.asarray(self.allowed[width.name])
        counts = np.where(sizes > 0, one + (two - one) * (sizes - 1), none)
        return (counts - counts.min()) / self.layout.parameters()


@dataclass(frozen=True)
class Latency(Costs):
    """Latency from a table: of widths that are alike, together at a size, the share of the whole model's latency.

    What one width saves is its part of what all of its kind save at once. Kinds save less together than one by one, for
    what is left fits the caches better: all are scaled so that together they save what was measured. A block reads and
    writes its streams, so that it costs in proportion to them.

    Attributes:
        table: Class of a width → measured size → share of the whole model's latency.
        least: The same share with every block at the least measured size.
    """

    table: Mapping[str, Mapping[int, float]]
    least: float

    def rest(self, streams: Sizes) -> float:
        """See `Costs.rest`."""
        # Streams that shrink together save what each of them leaves of what the others left.
        left = float(np.prod([self._share(width, streams[width.name]) for width in self.streams]))
        return left - sum(float(self._costs(width, (width.size,), streams)[0]) for width in self.blocks)

    def block(self, width: Width, streams: Sizes) -> np.ndarray:
        """See `Costs.block`."""
        return self._costs(width, self.allowed[width.name], streams)

    @cached_property
    def _scale(self) -> float:
        kinds = {kind_of(width, self.layout) for width in self.blocks}
        together = sum(1 - self.table[kind][min(self.table[kind])] for kind in kinds)
        return max(0.0, 1 - self.least) / together if together > 0 else 1.0

    def _costs(self, width: Width, sizes: tuple[int, ...], streams: Sizes) -> np.ndarray:
        points = self.table[kind_of(width, self.layout)]
        alike = sum(kind_of(other, self.layout) == kind_of(width, self.layout) for other in self.layout.widths)
        # A larger block never costs less: where it was measured so, that was noise. A layer left out is no block.
        known = sorted(size for size in points if size or not width.bypass)
        rising = dict(zip(known, np.maximum.accumulate([points[size] for size in known]), strict=True))
        rising = {**points, **rising}
        costs = (between(sizes, rising) - min(rising.values())) / alike * self._scale
        for stream in self.streams:
            if touching(width, stream):
                costs = costs * (streams[stream.name] / stream.size)
        return costs

    def _share(self, stream: Width, size: int) -> float:
        return float(between((size,), dict(self.table[kind_of(stream, self.layout)]))[0])


def kind_of(width: Width, layout: Layout) -> str:
    """The class of a width: those with parameters of the same shapes, of which as little may be left, cost the same."""
    shapes = sorted((layout.shapes[axis.parameter], axis.dim) for axis in width.axes)
    if width.linear and not shapes:
        shapes = [(layout.shapes[f"{width.linear}.weight"], 0)]
    return f"{width.kind} {width.size}×{width.channels}{' or none' if width.may_go else ''} {shapes}"


def kinds(widths: Sequence[Width], layout: Layout) -> dict[str, list[Width]]:
    """The widths by their classes."""
    found: dict[str, list[Width]] = {}
    for width in widths:
        found.setdefault(kind_of(width, layout), []).append(width)
    return found


def touching(block: Width, stream: Width) -> bool:
    """Whether a parameter has both widths."""
    return bool({axis.parameter for axis in block.axes} & {axis.parameter for axis in stream.axes})
