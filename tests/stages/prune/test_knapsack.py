from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from edgesft.stages.prune.knapsack import BINS, cheapest_harm


@pytest.mark.parametrize("seed", range(5))
def test_no_other_choice_does_less_harm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole bins, so that rounding hides no choice.
    costs = [rng.integers(0, 30, size=rng.integers(1, 5)).astype(float) for _ in range(5)]
    harms = [rng.random(len(each)) for each in costs]
    budget = 50.0
    found = cheapest_harm([each * BINS / BINS for each in costs], harms, budget)
    allowed = [
        sum(harm[option] for harm, option in zip(harms, options, strict=True))
        for options in product(*(range(len(each)) for each in costs))
        if sum(cost[option] for cost, option in zip(costs, options, strict=True)) <= budget
    ]
    assert found is not None
    assert sum(cost[option] for cost, option in zip(costs, found, strict=True)) <= budget
    assert sum(harm[option] for harm, option in zip(harms, found, strict=True)) == pytest.approx(min(allowed))


def test_nothing_is_cheap_enough() -> None:
    costs, harms = [np.array([3.0, 2.0])], [np.array([0.0, 1.0])]
    assert cheapest_harm(costs, harms, 1.9) is None
    assert cheapest_harm(costs, harms, -1.0) is None
    assert cheapest_harm(costs, harms, 2.0) == [1]
    assert cheapest_harm([np.array([1.0, 0.0])], [np.array([0.0, 5.0])], 0.0) == [1]
    assert cheapest_harm([], [], 0.0) == []
