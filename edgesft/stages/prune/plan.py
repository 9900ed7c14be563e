"""What is cut, in which order: pure numbers, no model."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from edgesft.errors import InputError
from edgesft.stages.prune.layout import Kind, Layout, Width


@dataclass(frozen=True)
class Cut:
    """What one width keeps.

    Attributes:
        width: Name of the width.
        kind: What it is.
        before: Units it had.
        channels: Channels of a unit.
        kept: Indices of the units that stay, ascending.
    """

    width: str
    kind: Kind
    before: int
    channels: int
    kept: tuple[int, ...]

    def removed_channels(self) -> list[int]:
        """Indices of the channels that go, ascending."""
        gone = sorted(set(range(self.before)) - set(self.kept))
        return [unit * self.channels + channel for unit in gone for channel in range(self.channels)]


@dataclass(frozen=True)
class PrunePlan:
    """What every width keeps; `edgesft.stages.prune.apply` carries it out.

    Attributes:
        cuts: One a width that may shrink, also where nothing goes.
        parameters_before: Parameters of the whole model.
        parameters_after: The same once the plan is carried out.
    """

    cuts: tuple[Cut, ...]
    parameters_before: int
    parameters_after: int

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`."""
        cuts = [{**vars(cut), "kept": list(cut.kept)} for cut in self.cuts]
        return {
            "parameters_before": self.parameters_before,
            "parameters_after": self.parameters_after,
            "cuts": cuts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PrunePlan:
        """Inverse of `to_json`."""
        cuts = tuple(Cut(**{**cut, "kept": tuple(cut["kept"])}) for cut in data["cuts"])
        return cls(cuts, data["parameters_before"], data["parameters_after"])

    def table(self) -> str:
        """A line a width: name, kind, units before and after."""
        space = max((len(cut.width) for cut in self.cuts), default=0)
        lines = [f"{cut.width:{space}}  {cut.kind:6}  {cut.before:6} → {len(cut.kept)}" for cut in self.cuts]
        return "\n".join([*lines, f"parameters {self.parameters_before} → {self.parameters_after}"])

    def summary(self) -> str:
        """Totals of each kind: `heads 72→41, ffn 9216→4608, parameters 22.7 M → 17.1 M`."""
        parts = []
        for kind in dict.fromkeys(cut.kind for cut in self.cuts):
            cuts = [cut for cut in self.cuts if cut.kind == kind]
            parts.append(f"{kind} {sum(cut.before for cut in cuts)}→{sum(len(cut.kept) for cut in cuts)}")
        parts.append(f"parameters {_millions(self.parameters_before)} → {_millions(self.parameters_after)}")
        return ", ".join(parts)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.1f} k"


@dataclass(frozen=True)
class Removal:
    """One step of the way down: units of one width that go together."""

    width: str
    units: tuple[int, ...]


def removal_order(
    layout: Layout, importance: Mapping[str, np.ndarray], *, multiple: int, max_share: float
) -> tuple[Removal, ...]:
    """The order in which units go; every target is a prefix of it.

    Each width goes in steps that leave a multiple of `multiple` channels, least important units first. Across heads and
    feed-forward widths the next step is the one with the least importance a parameter. A hidden width is read by all
    layers and its units hold parameters of all other widths, so its importance does not compare with theirs: it shrinks
    in proportion, so that at every point it has lost about the share of its units that the other widths have lost of
    their parameters.

    Args:
        layout: The widths that may shrink.
        importance: Width → (units,) scores, higher is more important.
        multiple: What widths are rounded to, in channels; whole units always.
        max_share: The largest share of its units that a width may lose; one step's worth always stays.

    Returns:
        The steps from the whole model down to the smallest one allowed.
    """
    steps = {width.name: _width_steps(width, importance[width.name], multiple, max_share) for width in layout.widths}
    inner = [width for width in layout.widths if width.kind != "hidden"]
    pool = sum(width.size * layout.held(width) for width in inner)
    levels: list[tuple[float, int, Removal]] = []
    gone = 0
    for removal, held in _by_density(inner, steps, importance, layout):
        gone += held
        levels.append((gone / pool, len(levels), removal))
    for width in layout.widths:
        if width.kind == "hidden":
            lost = 0
            for removal in steps[width.name]:
                lost += len(removal.units)
                levels.append((lost / width.size, len(levels), removal))
    return tuple(removal for _, _, removal in sorted(levels, key=lambda level: level[:2]))


def _width_steps(width: Width, scores: np.ndarray, multiple: int, max_share: float) -> list[Removal]:
    block = multiple // gcd(multiple, width.channels)
    least = max(block, int(np.ceil(width.size * (1 - max_share) - 1e-9)))
    order = [int(unit) for unit in np.argsort(scores, kind="stable")]
    found, start = [], 0
    end = width.size % block or block
    while width.size - end >= least:
        found.append(Removal(width.name, tuple(sorted(order[start:end]))))
        start, end = end, end + block
    return found


def _by_density(
    widths: Sequence[Width],
    steps: Mapping[str, list[Removal]],
    importance: Mapping[str, np.ndarray],
    layout: Layout,
) -> list[tuple[Removal, int]]:
    """Merges the widths' steps by importance a parameter; each with the parameters it takes along."""

    def entry(place: int, index: int) -> tuple[float, int, int]:
        width = widths[place]
        units = list(steps[width.name][index].units)
        return float(np.mean(importance[width.name][units])) / layout.held(width), place, index

    heap = [entry(place, 0) for place, width in enumerate(widths) if steps[width.name]]
    heapq.heapify(heap)
    found = []
    while heap:
        _, place, index = heapq.heappop(heap)
        removal = steps[widths[place].name][index]
        found.append((removal, len(removal.units) * layout.held(widths[place])))
        if index + 1 < len(steps[widths[place].name]):
            heapq.heappush(heap, entry(place, index + 1))
    return found


def kept_sizes(layout: Layout, removals: Sequence[Removal]) -> dict[str, int]:
    """Units that each width keeps after these removals."""
    kept = {width.name: width.size for width in layout.widths}
    for removal in removals:
        kept[removal.width] -= len(removal.units)
    return kept


def shares_left(layout: Layout, order: Sequence[Removal]) -> list[float]:
    """Share of the parameters in prunable tensors that is left after 0, 1, … removals."""
    whole = layout.touched()
    kept = kept_sizes(layout, ())
    shares = [1.0]
    for removal in order:
        kept[removal.width] -= len(removal.units)
        shares.append(layout.touched(kept) / whole)
    return shares


def make_plan(layout: Layout, removals: Sequence[Removal]) -> PrunePlan:
    """The plan that carries out these removals."""
    gone: dict[str, set[int]] = {width.name: set() for width in layout.widths}
    for removal in removals:
        gone[removal.width].update(removal.units)
    cuts = tuple(
        Cut(w.name, w.kind, w.size, w.channels, tuple(unit for unit in range(w.size) if unit not in gone[w.name]))
        for w in layout.widths
    )
    return PrunePlan(cuts, layout.parameters(), layout.parameters(kept_sizes(layout, removals)))


def steps_for_parameters(layout: Layout, order: Sequence[Removal], target: float) -> int:
    """How many removals bring the model to `target` of its parameters or just below.

    Raises:
        InputError: All of them do not.
    """
    total = layout.parameters()

    def share(count: int) -> float:
        return layout.parameters(kept_sizes(layout, order[:count])) / total

    count = bisect_left(range(len(order) + 1), -target, key=lambda count: -share(count))
    if count <= len(order):
        return count
    reached = np.ceil(share(len(order)) * 1000) / 1000
    raise InputError(
        f"prune.parameters: must be a share that the targets can reach, at least {reached:.3f}. Got: {target:g}",
        what_else(layout),
    )


def what_else(layout: Layout) -> str:
    """What to try when the smallest model that the targets allow is not small enough."""
    hidden = any(width.kind == "hidden" for width in layout.widths)
    more = "" if hidden else "add 'hidden' to prune.targets, "
    return f"{more}raise prune.max_share, lower prune.channel_multiple or take a smaller model"
