"""How far to prune for a latency: what the table predicts is measured, and the table corrected by the measurement."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import InputError
from edgesft.stages.prune.costs import Costs, Sizes
from edgesft.stages.prune.sizes import smallest
from edgesft.store.store import write_json

MEASUREMENTS = 6
"""Most candidates that are measured: each costs an export and a benchmark."""

ASKED, CLOSE = 20, 0.005
"""How often the table is asked for so many parameters, and how close below them ends it."""

WITHIN = 0.05
"""A candidate so close below the target, relative to it, ends the search."""


@dataclass(frozen=True)
class Point:
    """One measured candidate.

    Attributes:
        sizes: What each width keeps.
        input_ns: p50 of the stage's input in nanoseconds, measured interleaved with the candidate.
        candidate_ns: p50 of the candidate in nanoseconds.
    """

    sizes: Sizes
    input_ns: int
    candidate_ns: int

    @property
    def ratio(self) -> float:
        """Share of the input's latency."""
        return self.candidate_ns / self.input_ns


def remembered(place: Path, measure: Callable[[Sizes], Point]) -> Callable[[Sizes], Point]:
    """A measurement that is stored in a file before it is used, and read from there the next time."""

    def recall(sizes: Sizes) -> Point:
        known: list[dict[str, Any]] = json.loads(place.read_text("utf-8")) if place.is_file() else []
        for point in known:
            if point["sizes"] == sizes:
                return Point(**point)
        found = measure(sizes)
        write_json(place, [*known, vars(found)])
        return found

    return recall


def counted(costs: Costs, harms: Mapping[str, np.ndarray], target: float, advice: str) -> Sizes:
    """The sizes that do the least harm with no more than a share of the parameters.

    Raises:
        InputError: Even the smallest model has more.
    """

    def share(sizes: Sizes) -> float:
        return costs.layout.parameters(sizes) / costs.layout.parameters()

    least = smallest(costs.layout, costs.allowed)
    if share(least) > target:
        floor = math.ceil(1000 * share(least)) / 1000
        raise InputError(
            f"prune.parameters: must be a share that the targets can reach, at least {floor:.3f}. Got: {target:g}",
            advice,
        )
    # Convolutions in a row share parameters, which are counted for both: what is asked for is then another number.
    best: Sizes = least
    low, high = costs.total(least), costs.total({name: sizes[0] for name, sizes in costs.allowed.items()})
    for step in range(ASKED):
        middle = (low + high) / 2 if step else target
        sizes = costs.choose(harms, middle) or least
        if share(sizes) <= target:
            best, low = (sizes, middle) if share(sizes) >= share(best) else (best, middle)
        else:
            high = middle
        if target * (1 - CLOSE) <= share(best):
            break
    return best


def reach(
    costs: Costs,
    harms: Mapping[str, np.ndarray],
    target: float,
    measure: Callable[[Sizes], Point],
    advice: str,
    milliseconds: float | None = None,
) -> tuple[Point, list[Point]]:
    """The sizes that do the least harm with a measured latency of `target` or just below.

    What is asked of the table is corrected by how far its last answer was from what was then measured.

    Args:
        costs: The table.
        harms: Width → the harm at each of its sizes.
        target: Share of the input's latency.
        measure: Measures a candidate.
        advice: What to try when the smallest candidate is too slow.
        milliseconds: The target as the recipe has it, where it is no share.

    Returns:
        The point chosen, which of those fast enough does the least harm, and all points measured in their order. Where
        the machine is noisy, the slowest of them may do more.

    Raises:
        InputError: Even the smallest candidate is slower than the target.
    """
    least = smallest(costs.layout, costs.allowed)
    aim, error = target * (1 - WITHIN / 2), 1.0
    points: list[Point] = []
    while len(points) < MEASUREMENTS:
        sizes = costs.choose(harms, aim / error) or least
        if any(point.sizes == sizes for point in points):
            if sizes == least or any(point.ratio <= target for point in points):
                break
            aim *= 1 - WITHIN  # the table has nothing between this and what was too slow
            if aim < target / 2:
                break
            continue
        points.append(measure(sizes))
        if target * (1 - WITHIN) <= points[-1].ratio <= target:
            break
        error = points[-1].ratio / costs.total(sizes)
    below = [point for point in points if point.ratio <= target]
    if not below and all(point.sizes != least for point in points):
        points.append(measure(least))  # tells whether the target can be reached at all
        if points[-1].ratio <= target:
            points += _lower(costs, harms, target, measure, points)
        below = [point for point in points if point.ratio <= target]
    if not below:
        raise InputError(_out_of_reach(min(points, key=lambda point: point.ratio), target, milliseconds), advice)
    return min(below, key=lambda point: _harm(costs, harms, point.sizes)), points


def _out_of_reach(fastest: Point, target: float, milliseconds: float | None) -> str:
    """What can be reached, in the unit that was asked in."""
    if milliseconds is None:
        floor = math.ceil(1000 * fastest.ratio) / 1000
        return f"prune.latency: must be a share that the targets can reach, at least {floor:.3f}. Got: {target:g}"
    least = math.ceil(fastest.candidate_ns / 1000) / 1000
    return f"prune.latency_ms: must be a time that the targets can reach, at least {least:g}. Got: {milliseconds:g}"


def _harm(costs: Costs, harms: Mapping[str, np.ndarray], sizes: Sizes) -> float:
    return float(sum(harms[name][costs.allowed[name].index(size)] for name, size in sizes.items()))


def _lower(
    costs: Costs, harms: Mapping[str, np.ndarray], target: float, measure: Callable[[Sizes], Point], points: list[Point]
) -> list[Point]:
    """Further candidates, each smaller than the one before, until one is as fast as asked.

    Where all but the smallest came out too slow, by noise or by little, the smallest is no answer: it loses everything.
    """
    found: list[Point] = []
    ask = min(costs.total(point.sizes) for point in points[:-1])
    for step in range(1, MEASUREMENTS + 1):
        ask *= 1 - step * WITHIN
        sizes = costs.choose(harms, ask)
        if sizes is None:
            break
        if all(point.sizes != sizes for point in (*points, *found)):
            found.append(measure(sizes))
            if found[-1].ratio <= target:
                break
    return found
