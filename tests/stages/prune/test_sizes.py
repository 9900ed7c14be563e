from __future__ import annotations

import numpy as np
import pytest

from edgesft.stages.prune.layout import Width
from edgesft.stages.prune.sizes import allowed, between, measured, none_above
from tests.stages.prune.test_plan import ffn


def test_sizes_leave_multiples_of_channels() -> None:
    assert allowed(ffn("a", 20), 8, 0.9) == (20, 16, 8)
    assert allowed(ffn("a", 9, channels=12), 8, 0.9) == (9, 8, 6, 4, 2)
    assert allowed(ffn("a", 4, channels=32), 8, 0.9) == (4, 3, 2, 1)


@pytest.mark.parametrize(("max_share", "least"), [(0.5, 16), (0.75, 8), (0.99, 4), (0.1, 32), (1.0, 0)])
def test_max_share_and_one_multiple_bound_each_width(max_share: float, least: int) -> None:
    assert allowed(ffn("a", 32), 4, max_share)[-1] == least


def test_a_stream_stays() -> None:
    assert allowed(Width("h", "hidden", 16, 1, (), ()), 4, 1.0) == (16, 12, 8, 4)


def test_some_are_measured_more_where_less_is_left() -> None:
    assert measured(allowed(ffn("a", 1536), 8, 1.0)) == (1536, 1152, 768, 576, 384, 256, 128, 8, 0)
    assert measured(allowed(ffn("a", 12, channels=32), 8, 1.0)) == (12, 9, 6, 5, 3, 2, 1, 0)
    assert measured(allowed(ffn("a", 64), 8, 0.9)) == (64, 56, 48, 40, 32, 24, 16, 8), "all, where they are few"


def test_values_between_lie_on_straight_lines_but_nothing_leads_to_none() -> None:
    assert between((8, 6, 4, 2, 0), {8: 1.0, 4: 0.5, 2: 0.4, 0: 0.0}).tolist() == pytest.approx([1, 0.75, 0.5, 0.4, 0])
    assert between((6,), {8: 1.0, 4: 0.5}).tolist() == [0.75]
    assert none_above((8, 6, 4, 0), 5) == (4, 0)
    assert isinstance(between((4, 2), {4: 1.0, 2: 0.5}), np.ndarray)
