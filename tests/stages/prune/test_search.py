from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.stages.prune.costs import Parameters
from edgesft.stages.prune.search import MEASUREMENTS, Point, counted, reach, remembered
from tests.stages.prune.test_costs import every
from tests.stages.prune.test_plan import ffn, layout

FOUND = layout(*(ffn(name, 64) for name in "abcdefgh"))
COSTS = Parameters(FOUND, every(FOUND, 1))
HARMS = {name: np.linspace(0, 1, len(sizes)) * (1 + place) for place, (name, sizes) in enumerate(COSTS.allowed.items())}
"""Of eight blocks; the table says that a unit is a unit."""

Measure = Callable[[Mapping[str, int]], Point]


def machine(curve: Callable[[float], float]) -> tuple[Measure, list[Mapping[str, int]]]:
    """A measurement by a function of what the table says, and what it was asked for."""
    asked: list[Mapping[str, int]] = []

    def measure(sizes: Mapping[str, int]) -> Point:
        asked.append(sizes)
        return Point(sizes, 10**7, round(10**7 * curve(COSTS.total(sizes))))

    return measure, asked


CURVES: dict[str, Callable[[float], float]] = {
    "as foretold": lambda share: share,
    "fixed part": lambda share: 0.2 + 0.8 * share,
    "steep": lambda share: share**1.5,
    "flat": lambda share: share**0.7,
    "staircase": lambda share: int(share * 50) / 50,
}


@pytest.mark.parametrize("target", [0.8, 0.5, 0.4])
@pytest.mark.parametrize("name", CURVES)
def test_ends_close_below_the_target(name: str, target: float) -> None:
    measure, asked = machine(CURVES[name])
    point, points = reach(COSTS, HARMS, target, measure, "advice")
    assert 0.95 * target <= point.ratio <= target
    assert len(asked) == len(points) <= MEASUREMENTS
    assert all(sizes not in asked[:place] for place, sizes in enumerate(asked))


def test_a_true_table_needs_one_measurement() -> None:
    measure, asked = machine(CURVES["as foretold"])
    reach(COSTS, HARMS, 0.3, measure, "advice")
    assert len(asked) == 1


def test_finds_out_that_a_target_is_out_of_reach() -> None:
    measure, _ = machine(lambda share: 0.9 + 0.1 * share)
    with pytest.raises(InputError) as caught:
        reach(COSTS, HARMS, 0.5, measure, "another model")
    assert "prune.latency: must be a share that the targets can reach, at least 0.900. Got: 0.5" in str(caught.value)
    assert "Try: another model" in str(caught.value)


def test_a_machine_that_tells_nothing_still_ends() -> None:
    measure, asked = machine(lambda share: 1.0)
    with pytest.raises(InputError, match=r"latency_ms: must be a time .* at least 10. Got: 5$"):
        reach(COSTS, HARMS, 0.5, measure, "", 5)
    assert len(asked) <= MEASUREMENTS + 1


def test_few_sizes_end_at_the_next_one_below() -> None:
    costs = Parameters(FOUND, {name: (64, 0) for name in "abcdefgh"})
    harms = {name: np.array([0.0, 1.0]) for name in "abcdefgh"}
    measure = machine(CURVES["as foretold"])[0]
    point, _ = reach(costs, harms, 0.45, lambda sizes: measure(sizes), "advice")
    assert point.ratio == pytest.approx(3 / 8)


def test_a_machine_that_is_always_a_little_too_slow_does_not_end_at_the_smallest() -> None:
    asked: list[Mapping[str, int]] = []

    def measure(sizes: Mapping[str, int]) -> Point:
        asked.append(sizes)
        share = COSTS.total(sizes)
        noisy = max(share, 0.41) if len(asked) <= MEASUREMENTS else share
        return Point(sizes, 10**7, round(10**7 * noisy))

    point, points = reach(COSTS, HARMS, 0.4, measure, "advice")
    assert points[MEASUREMENTS].sizes == dict.fromkeys("abcdefgh", 0)  # the smallest, by which it can be reached
    assert 0.25 < point.ratio <= 0.4 and point == points[-1]


def test_of_candidates_that_are_fast_enough_the_least_harmful_is_taken() -> None:
    # By noise a larger candidate may be the faster one; the slowest would then be the smaller one.
    asked: list[Mapping[str, int]] = []

    def measure(sizes: Mapping[str, int]) -> Point:
        asked.append(sizes)
        told = (0.3, 0.45, 0.37)[len(asked) - 1] if len(asked) <= 3 else 0.45
        return Point(sizes, 10**7, round(10**7 * told))

    point, points = reach(COSTS, HARMS, 0.4, measure, "advice")
    below = [each for each in points if each.ratio <= 0.4]
    done = {each.ratio: sum(float(HARMS[name][64 - size]) for name, size in each.sizes.items()) for each in below}
    assert len(done) == 2 and done[point.ratio] == min(done.values())


def test_points_are_stored_before_they_are_used_and_replayed(tmp_path: Path) -> None:
    place = tmp_path / "latency.json"
    measure, asked = machine(CURVES["steep"])

    def killed(sizes: Mapping[str, int]) -> Point:
        if asked:
            raise KeyboardInterrupt
        return measure(sizes)

    with pytest.raises(KeyboardInterrupt):
        reach(COSTS, HARMS, 0.4, remembered(place, killed), "advice")
    assert [point["sizes"] for point in json.loads(place.read_text())] == asked and len(asked) == 1
    resumed = reach(COSTS, HARMS, 0.4, remembered(place, measure), "advice")
    assert len(asked) == len(resumed[1])

    def never(_: object) -> Point:
        raise AssertionError("measured again")

    assert reach(COSTS, HARMS, 0.4, remembered(place, never), "advice") == resumed


def test_parameters_are_counted() -> None:
    sizes = counted(COSTS, HARMS, 0.5, "advice")
    assert 0.45 < COSTS.total(sizes) <= 0.5
    few = Parameters(FOUND, {name: (64, 32) for name in "abcdefgh"})
    with pytest.raises(InputError, match=r"prune.parameters: must be .* at least 0.500. Got: 0.3"):
        counted(few, {name: np.zeros(2) for name in "abcdefgh"}, 0.3, "advice")
