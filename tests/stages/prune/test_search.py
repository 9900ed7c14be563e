import json

import pytest

from edgesft.errors import InputError
from edgesft.stages.prune.search import MEASUREMENTS, Point, remembered, steps_for_latency

SHARES = [1 - step / 100 for step in range(91)]


def machine(curve):
    """A measurement by a function of the share, and the steps it was asked for."""
    asked = []

    def measure(steps):
        asked.append(steps)
        return Point(steps, 10**7, round(10**7 * curve(SHARES[steps])))

    return measure, asked


CURVES = {
    "proportional": lambda share: share,
    "fixed part": lambda share: 0.3 + 0.7 * share,
    "steep": lambda share: share**2,
    "flat": lambda share: share**0.5,
    "staircase": lambda share: 0.2 + 0.8 * (int(share * 50) / 50),
}


@pytest.mark.parametrize("target", [0.8, 0.5, 0.4])
@pytest.mark.parametrize("name", CURVES)
def test_ends_close_below_the_target(name, target):
    measure, asked = machine(CURVES[name])
    point, points = steps_for_latency(SHARES, target, measure, "advice")
    assert 0.95 * target <= point.ratio <= target
    assert len(asked) == len(points) <= MEASUREMENTS
    assert len(set(asked)) == len(asked)


def test_straight_lines_need_two_measurements():
    measure, asked = machine(CURVES["fixed part"])
    steps_for_latency(SHARES, 0.6, measure, "advice")
    assert len(asked) == 2


def test_takes_the_first_step_below_where_none_is_close():
    measure, _ = machine(lambda share: 1.0 if share > 0.505 else 0.3)
    point, _ = steps_for_latency(SHARES, 0.8, measure, "advice")
    assert point.ratio == 0.3


def test_finds_out_that_a_target_is_out_of_reach():
    measure, asked = machine(lambda share: 0.9 + 0.1 * share)
    with pytest.raises(InputError) as caught:
        steps_for_latency(SHARES, 0.5, measure, "another model")
    assert len(SHARES) - 1 in asked
    assert "at least 0.910. Got: 0.5" in str(caught.value)
    assert "Try: another model" in str(caught.value)


def test_a_machine_that_tells_nothing_still_ends():
    measure, asked = machine(lambda share: 1.0)
    with pytest.raises(InputError, match=r"at least 1.000"):
        steps_for_latency(SHARES, 0.5, measure, "another model")
    assert len(asked) <= MEASUREMENTS


def test_points_are_stored_before_they_are_used_and_replayed(tmp_path):
    place = tmp_path / "latency.json"
    measure, asked = machine(CURVES["steep"])

    def killed_after(count):
        def guarded(steps):
            if len(asked) == count:
                raise KeyboardInterrupt
            return measure(steps)

        return guarded

    with pytest.raises(KeyboardInterrupt):
        steps_for_latency(SHARES, 0.4, remembered(place, killed_after(2)), "advice")
    assert [point["steps"] for point in json.loads(place.read_text())] == asked and len(asked) == 2
    resumed = steps_for_latency(SHARES, 0.4, remembered(place, measure), "advice")
    assert len(set(asked)) == len(asked) == len(resumed[1])

    def never(steps):
        raise AssertionError("measured again")

    assert steps_for_latency(SHARES, 0.4, remembered(place, never), "advice") == resumed
