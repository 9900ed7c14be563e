"""How far to go for a latency: a search over measured points that replays what it has already measured."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesft.errors import InputError
from edgesft.store.store import write_json

MEASUREMENTS = 6
"""Most candidates that are measured: each costs an export and a benchmark."""

WITHIN = 0.05
"""A candidate so close below the target, relative to it, ends the search."""


@dataclass(frozen=True)
class Point:
    """One measured candidate.

    Attributes:
        steps: Removals that it has.
        input_ns: p50 of the stage's input in nanoseconds, measured interleaved with the candidate.
        candidate_ns: p50 of the candidate in nanoseconds.
    """

    steps: int
    input_ns: int
    candidate_ns: int

    @property
    def ratio(self) -> float:
        """Share of the input's latency."""
        return self.candidate_ns / self.input_ns


def remembered(place: Path, measure: Callable[[int], Point]) -> Callable[[int], Point]:
    """The same measurement, stored in a file before it is used and read from there the next time."""

    def recall(steps: int) -> Point:
        known = json.loads(place.read_text("utf-8")) if place.is_file() else []
        for point in known:
            if point["steps"] == steps:
                return Point(**point)
        found = measure(steps)
        write_json(place, [*known, vars(found)])
        return found

    return recall


def steps_for_latency(
    shares: Sequence[float], target: float, measure: Callable[[int], Point], advice: str
) -> tuple[Point, list[Point]]:
    """The removals that bring the latency to `target` or just below.

    Latency is taken as a straight line in the share of parameters: through the last two points while all are too slow,
    through the two that enclose the target afterwards (regula falsi), and proportional to it before the first one.

    Args:
        shares: Share of the prunable parameters left after 0, 1, … removals; falls from 1.
        target: Share of the input's latency.
        measure: Measures the candidate with so many removals.
        advice: What to try when the smallest candidate is too slow.

    Returns:
        The point chosen, and all points measured in their order.

    Raises:
        InputError: Even the smallest candidate is slower than the target.
    """
    aim = target * (1 - WITHIN / 2)
    last = len(shares) - 1
    slow, slow_ratio, slope = 0, 1.0, 1.0
    fast: Point | None = None
    points: list[Point] = []
    while len(points) < MEASUREMENTS and (high := last if fast is None else fast.steps - 1) > slow:
        steps = _first_below(shares, shares[slow] - (slow_ratio - aim) / max(slope, 1e-9))
        if fast is None and len(points) == MEASUREMENTS - 1:
            steps = last  # the last chance to learn whether the target can be reached at all
        point = measure(min(max(steps, slow + 1), high))
        points.append(point)
        if target * (1 - WITHIN) <= point.ratio <= target:
            return point, points
        if point.ratio <= target:
            fast = point
        else:
            slope = (slow_ratio - point.ratio) / (shares[slow] - shares[point.steps])
            slow, slow_ratio = point.steps, point.ratio
        if fast is not None:
            slope = (slow_ratio - fast.ratio) / (shares[slow] - shares[fast.steps])
    if fast is None:
        floor = math.ceil(1000 * min((point.ratio for point in points), default=1.0)) / 1000
        raise InputError(
            f"prune.latency: must be a share that the targets can reach, at least {floor:.3f}. Got: {target:g}", advice
        )
    return fast, points


def _first_below(shares: Sequence[float], wanted: float) -> int:
    return next((steps for steps, share in enumerate(shares) if share <= wanted), len(shares) - 1)
