from __future__ import annotations

import numpy as np
import pytest

from edgesft.budget.steadiness import steadiness
from edgesft.measure.schedule import fitting, schedule
from edgesft.spec.profile import MeasureSpec

MS = 1_000_000
SETTINGS = MeasureSpec(samples=100, seconds=1, rounds=10, max_seconds=60, warmup_seconds=1)
REQUESTS = [{"x": np.full((1, 4), index, np.float32)} for index in range(50)]


def test_schedule_reaches_samples_and_seconds_with_one_mixture() -> None:
    plan = schedule([20 * MS, 7 * MS, 1 * MS], 50, SETTINGS)
    assert plan.window == 10
    for count, typical in zip(plan.counts, (20 * MS, 7 * MS, MS), strict=True):
        assert count % plan.window == 0
        assert count * SETTINGS.rounds >= SETTINGS.samples
        assert count * SETTINGS.rounds * typical >= SETTINGS.seconds * 1e9


def test_schedule_stays_within_the_longest_time() -> None:
    short = MeasureSpec(samples=1000, seconds=10, rounds=10, max_seconds=20, warmup_seconds=1)
    plan = schedule([100 * MS, 1 * MS], 50, short)
    assert plan.window == 20
    assert plan.counts[0] * 10 * 100 * MS <= 20e9
    assert plan.counts[1] * 10 * MS >= 10e9
    assert schedule([60_000 * MS], 50, short).counts == (1,)


def test_each_round_mixes_sizes_alike_and_together_they_use_many_requests() -> None:
    """300 requests by size, 15 a round: the i-th ones of any two rounds are less than one distance apart."""
    plan = schedule([25 * MS], 300, MeasureSpec(samples=300, seconds=5, rounds=20))
    rounds = np.array([plan.picks(number) for number in range(20)])
    assert plan.window == 15 and (np.ptp(rounds, axis=0) < 20).all() and plan.distinct(20) > 250
    assert rounds.min() < 5 and rounds.max() >= 295
    large = schedule([25 * MS], 6000, MeasureSpec(samples=300, seconds=5, rounds=20))
    assert large.distinct(20) == 300
    assert schedule([25 * MS], 4, SETTINGS).distinct(20) == 4


@pytest.mark.parametrize("held", [1, 7, 64, 64 * 3, 872])
@pytest.mark.parametrize("count", [15, 51, 250])
def test_a_steady_machine_shows_no_drift_though_requests_differ_in_length(held: int, count: int) -> None:
    """The latency is the request's length. More requests than a round takes, about as many, and fewer."""
    settings = MeasureSpec(samples=20 * count, seconds=0.001, rounds=20)
    plan = schedule([MS], held, settings)
    lengths = np.linspace(10, 60, held).astype(int) * MS
    rounds = [
        [int(lengths[place]) for place in plan.picks(number)] * (plan.counts[0] // plan.window)
        for number in range(settings.rounds)
    ]
    found = steadiness(rounds)
    assert found.problems == () and found.grade in "AB" and abs(found.drift - 1) < 0.03


def test_requests_that_would_pass_for_the_models_memory_are_thinned() -> None:
    picked = fitting(REQUESTS, 10 * 16)
    assert len(picked) == 10
    assert [int(feeds["x"][0, 0]) for feeds in picked] == list(range(0, 50, 5))
    assert fitting(REQUESTS, 1) == (REQUESTS[0],)
    assert len(fitting(REQUESTS)) == 50
    sizes = [{"x": np.zeros(size, np.uint8)} for size in (3, 1, 2)]
    assert [feeds["x"].size for feeds in fitting(sizes)] == [1, 2, 3]
