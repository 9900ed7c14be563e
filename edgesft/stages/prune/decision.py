"""What a round of pruning decides: which units stay, from what they are worth and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from edgesft.spec.stages import PruneSpec
from edgesft.stages.context import StageContext
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.bypass import without
from edgesft.stages.prune.costs import Costs, Latency, Parameters, Sizes
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.importance import magnitude, taylor
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import make_plan, what_else
from edgesft.stages.prune.rank import harms
from edgesft.stages.prune.search import counted, reach, remembered
from edgesft.stages.prune.sensitivity import sensitivity
from edgesft.stages.prune.sizes import allowed, between, measured, none_above, present
from edgesft.store.store import remember
from edgesft.train.batches import Steps
from edgesft.train.drift import drift_of
from edgesft.train.objective import task_objective

SCORED, SILENCED = 32, 8
"""Most training batches that importance and sensitivity are averaged over. About a thousand rows at the usual 32 a
batch give a mean a standard error of some 3 % of the rows' spread, for the price of as many training steps; the latter
reads its batches once for each size of each width."""

SCORES, HARMS, POINTS = "importance.json", "sensitivity.json", "latency.json"
"""What decided something, in the work folder."""


@dataclass(frozen=True)
class Decision:
    """One round's.

    Attributes:
        spec: The target.
        model: As earlier rounds left it.
        bench: Of the stage's input, whose sizes are the ones that are spoken of.
        context: Of the round.
        target: Share of the parameters or of the latency of the stage's input that may remain after this round.
    """

    spec: PruneSpec
    model: nn.Module
    bench: Bench
    context: StageContext
    target: float

    def make(self) -> dict[str, Any]:
        """The plan, and for a latency the points that led to it; JSON values.

        Raises:
            InputError: The target cannot be reached.
        """
        whole, advice = self.bench.layout, what_else(self.bench.layout, self.spec.max_share)
        if self.spec.parameters is not None:
            sizes = counted(Parameters(whole, self._allowed), self._harms, self.target, advice)
            return {"plan": self._plan(sizes)}
        stored = self.bench.table(self._sizes)
        table = {name: {int(size): share for size, share in row.items()} for name, row in stored["kinds"].items()}
        costs: Costs = Latency(whole, self._allowed, table, stored["least"])
        measure = remembered(self.context.work / POINTS, self.bench.measure)
        point, points = reach(costs, self._harms, self.target, measure, advice, self.spec.latency_ms)
        found = {"precision": self.spec.precision, "ratio": point.ratio, "points": [vars(one) for one in points]}
        return {"plan": self._plan(point.sizes), "latency": found}

    def _plan(self, sizes: Sizes) -> dict[str, Any]:
        return make_plan(self._layout, sizes, self._scores).to_json()

    @cached_property
    def _layout(self) -> Layout:
        """The widths as they are now; without those that are gone."""
        traced = trace(self.model, self.bench.sample, self.context.task.logits)
        found = find_widths(self.model, traced, ranks="rank" in (self.spec.targets or ()))
        names = {width.name for width in self.bench.layout.widths}
        return found.only([width for width in found.widths if width.name in names])

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, ...]]:
        """The sizes that the target may be reached with, from the stage's input on."""
        multiple = self.spec.channel_multiple or self.context.profile.channel_multiple
        return {width.name: allowed(width, multiple, self.spec.max_share) for width in self.bench.layout.widths}

    @cached_property
    def _allowed(self) -> dict[str, tuple[int, ...]]:
        now = {width.name: width.size for width in self._layout.widths}
        # One that can shrink no more, such as a stream whose branches are gone, stays as it is.
        shapes = {name: parameter.shape for name, parameter in self.model.named_parameters()}
        left = {width.name: present(width, shapes) for width in self.bench.layout.widths if width.name not in now}
        return {
            name: (left[name],) if name in left else none_above(sizes, now[name]) for name, sizes in self._sizes.items()
        }

    @cached_property
    def _scores(self) -> dict[str, np.ndarray]:
        def compute() -> dict[str, list[float]]:
            widths = [width for width in self._layout.widths if not width.linear]
            if self.spec.importance == "magnitude":
                found = magnitude(widths, dict(self.model.named_parameters()))
            else:
                batches = calibration(self.context, "prune: importance", SCORED)
                found = taylor(self.model, widths, batches, task_objective(self.context.task))
            # Directions of a linear's answers are in their order.
            found |= {width.name: np.zeros(width.size) for width in self._layout.widths if width.linear}
            return {name: scores.tolist() for name, scores in found.items()}

        stored = remember(self.context.work / SCORES, compute)
        return {name: np.asarray(values) for name, values in stored.items()}

    @cached_property
    def _harms(self) -> dict[str, np.ndarray]:
        """Width → drift of the answers at each of its allowed sizes; what is gone does no more harm.

        Less never does less harm: where it was found so, the answers came back by chance. To leave a layer out may do
        less than to make it narrow.
        """
        tried = {width.name: measured(self._allowed[width.name]) for width in self._layout.widths}
        passed = [width for width in self._layout.widths if width.bypass and tried[width.name][-1] == 0]

        def compute() -> dict[str, list[float]]:
            batches = list(calibration(self.context, "prune: rows", SILENCED))
            drift = drift_of(self.context.task)
            plain = [width for width in self._layout.widths if not width.linear]
            ranks = [width for width in self._layout.widths if width.linear]
            found = sensitivity(self.model, plain, tried, self._scores, self._shown(batches), drift)
            found |= harms(self.model, ranks, tried, batches, drift)
            for width in passed:
                found[width.name][-1] = without(self.model, width, batches, drift)
            return found

        stored = remember(self.context.work / HARMS, compute)
        gone = {name: np.zeros(len(sizes)) for name, sizes in self._allowed.items() if name not in stored}
        for name, values in stored.items():
            gone[name] = between(self._allowed[name], dict(zip(tried[name], values, strict=True)))
            widths = slice(-1 if name in {width.name for width in passed} else None)
            gone[name][widths] = np.maximum.accumulate(gone[name][widths])
        return gone

    def _shown(self, batches: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The batches while each is worked on: dozens of passes through the model."""
        with self.context.progress.bar("prune: sensitivity", len(batches)) as advance:
            for batch in batches:
                yield batch
                advance()


def calibration(context: StageContext, label: str, most: int) -> Iterator[Mapping[str, Any]]:
    """The first batches of training, without noise."""
    settings = context.training.without_noise()
    batches = Steps(context.task, context.processor, context.train, settings, context.seed)
    count = min(most, batches.per_epoch)
    with context.progress.bar(label, count) as advance:
        for index in range(count):
            yield batches[index]
            advance()
