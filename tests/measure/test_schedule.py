from __future__ import annotations

import numpy as np

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
    """300 requests by size, 15 a round: the sizes of any two rounds differ by less than one stride."""
    plan = schedule([25 * MS], 300, MeasureSpec(samples=300, seconds=5, rounds=20))
    assert (plan.window, plan.stride, plan.step) == (15, 20, 1)
    assert plan.distinct(20, 300) == 300
    large = schedule([25 * MS], 6000, MeasureSpec(samples=300, seconds=5, rounds=20))
    assert large.distinct(20, 6000) == 300 and large.step * 19 < large.stride
    assert schedule([25 * MS], 4, SETTINGS).distinct(20, 4) == 4


def test_requests_that_would_pass_for_the_models_memory_are_thinned() -> None:
    picked = fitting(REQUESTS, 10 * 16)
    assert len(picked) == 10
    assert [int(feeds["x"][0, 0]) for feeds in picked] == list(range(0, 50, 5))
    assert fitting(REQUESTS, 1) == (REQUESTS[0],)
    assert len(fitting(REQUESTS)) == 50
    sizes = [{"x": np.zeros(size, np.uint8)} for size in (3, 1, 2)]
    assert [feeds["x"].size for feeds in fitting(sizes)] == [1, 2, 3]
