from __future__ import annotations

import pytest

from edgesft.report.pareto import front


@pytest.mark.parametrize(
    ("costs", "found"),
    [
        ([], []),
        ([(1.0, 1.0)], [0]),
        ([(1.0, 2.0), (2.0, 1.0), (2.0, 2.0)], [0, 1]),
        ([(1.0, 1.0), (1.0, 1.0)], [0, 1]),
        ([(1.0, 1.0), (1.0, 2.0), (0.5, 3.0)], [0, 2]),
    ],
)
def test_front(costs: list[tuple[float, ...]], found: list[int]) -> None:
    assert front(costs) == found
