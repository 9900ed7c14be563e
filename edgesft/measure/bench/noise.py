"""A/A: how large a difference this machine shows between a model and itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesft.budget.percentile import Interval
from edgesft.budget.ratio import ratio
from edgesft.errors import InputError, UnavailableError
from edgesft.measure.bench.bench import inspected, subject
from edgesft.measure.bench.lacking import absent
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import prepare
from edgesft.measure.driver import MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.measure.protocol import measure
from edgesft.progress import Progress

COPIES = 4
"""Processes that run the same model: six pairs, and what differs from process to process (where memory lies) shows."""

PERCENTILES = (50, 90, 95)


@dataclass(frozen=True)
class Noise:
    """What a model differs from itself by.

    Attributes:
        model: Name of the file.
        provider: That was measured.
        pairs: Percentile → the ratio of each pair of copies, with its bounds.
        measurements: Of each copy.
    """

    model: str
    provider: str
    pairs: Mapping[int, tuple[Interval, ...]]
    measurements: tuple[Measurement, ...]

    @property
    def floors(self) -> dict[int, float | None]:
        """Percentile → the least effect that a comparison on this machine can tell from none.

        It is the furthest that the bounds of any pair are from 1: a smaller difference was seen between equals. None
        where the samples are too few for bounds.
        """
        return {p: _furthest(ratios) for p, ratios in self.pairs.items()}

    @property
    def false_alarms(self) -> dict[int, int]:
        """Percentile → pairs whose bounds exclude 1, though nothing differs."""
        return {
            p: sum(bool((each.lower or 0) > 1 or (each.upper or 1) < 1) for each in ratios)
            for p, ratios in self.pairs.items()
        }

    def to_json(self) -> dict[str, Any]:
        """JSON form; the measurements with their samples."""
        return {
            "model": self.model,
            "provider": self.provider,
            "floors": {f"p{p}": floor for p, floor in self.floors.items()},
            "false_alarms": {f"p{p}": alarms for p, alarms in self.false_alarms.items()},
            "pairs": {f"p{p}": [each._asdict() for each in ratios] for p, ratios in self.pairs.items()},
            "measurements": [each.to_json() for each in self.measurements],
        }


def _furthest(ratios: Sequence[Interval]) -> float | None:
    bounds = [bound for each in ratios for bound in (each.lower, each.upper)]
    known = [bound for bound in bounds if bound is not None]
    return max(abs(bound - 1) for bound in known) if len(known) == len(bounds) else None


def noise(order: Order, progress: Progress) -> Noise:
    """Measures copies of one model on one provider against each other, interleaved like different models.

    Raises:
        InputError: There are several models or providers, or something is wrong with the file or its inputs.
        MeasureError: The model cannot be measured.
        UnavailableError: The interpreter has no runtime, or that not the provider.
    """
    order.check(single=True)
    files = inspected(order.models)
    if len(files) != 1 or len(order.providers) != 1:
        raise InputError(
            f"--aa takes one model on one provider, got {len(files)} models and {len(order.providers)} providers"
        )
    if lacking := absent(order):
        raise UnavailableError(*lacking.values())
    ((name, file),) = files.items()
    ready, provider = prepare(order, file), order.providers[0]
    copies = {f"{name} #{number + 1}": subject(order, ready, provider) for number in range(COPIES)}
    found = measure(copies, order.profile.measure, progress=progress, seed=order.seed)
    measured = []
    for each in found.values():
        if isinstance(each, MeasureError):
            raise each
        if each.untimed:
            raise MeasureError(f"the noise of {name} cannot be measured: {each.untimed}")
        if gone := sum(each.lost):
            got = f"{gone} of {gone + len(each.samples)} rows got no answer: a longer queue, deadline or interval"
            raise MeasureError(f"the noise of {name} cannot be measured: {got}")
        measured.append(each)
    pairs = {
        p: tuple(ratio(left.rounds, right.rounds, p) for left, right in itertools.combinations(measured, 2))
        for p in PERCENTILES
    }
    return Noise(name, provider.name, pairs, tuple(measured))
