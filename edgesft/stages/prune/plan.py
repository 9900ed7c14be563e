"""What is cut: pure numbers, no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesft.stages.prune.layout import Kind, Layout


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

    def since(self, first: PrunePlan) -> PrunePlan:
        """What this plan leaves of what an earlier one began with; which units stay is no longer told."""
        left = {cut.width: len(cut.kept) for cut in self.cuts}
        cuts = (replace(cut, kept=tuple(range(left.get(cut.width, 0)))) for cut in first.cuts)
        return PrunePlan(tuple(cuts), first.parameters_before, self.parameters_after)

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


def make_plan(layout: Layout, sizes: Mapping[str, int], importance: Mapping[str, np.ndarray]) -> PrunePlan:
    """The plan by which each width keeps so many of its most important units.

    Args:
        layout: The widths that may shrink.
        sizes: Width → units to keep; others stay whole.
        importance: Width → (units,) scores, higher is more important; of equal ones the first stay.
    """
    cuts = tuple(
        Cut(
            width.name,
            width.kind,
            width.size,
            width.channels,
            tuple(top(importance[width.name], sizes.get(width.name, width.size)).tolist()),
        )
        for width in layout.widths
    )
    return PrunePlan(cuts, layout.parameters(), layout.parameters(sizes))


def top(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices of the so many highest scores, ascending; of equal ones the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def what_else(layout: Layout, max_share: float) -> str:
    """What to try when the smallest model that the targets allow is not small enough."""
    more = [] if any(width.kind == "hidden" for width in layout.widths) else ["add 'hidden' to prune.targets"]
    more += ["raise prune.max_share"] if max_share < 1 else []
    return ", ".join([*more, "lower prune.channel_multiple or take a smaller model"])
