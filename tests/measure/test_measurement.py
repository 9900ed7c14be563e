"""What several measurements make together."""

from __future__ import annotations

from edgesft.measure.measurement import in_turn
from tests.report.measured import measurement


def test_what_runs_one_behind_the_other_takes_the_sum_request_by_request() -> None:
    first = measurement(rounds=((1, 2), (3, 4)), peak_memory_bytes=150, baseline_memory_bytes=100)
    last = measurement(rounds=((10, 20, 10, 20), (30, 40, 30, 40)), peak_memory_bytes=180, baseline_memory_bytes=90)
    both = in_turn([first, last])
    assert both.rounds == ((11, 22), (33, 44))
    assert both.peak_memory_bytes == 230, "of one process, whose beginnings count once"
    assert both.loads_ns == tuple(map(sum, zip(first.loads_ns, last.loads_ns, strict=True)))
    assert both.lengths is None and both.provider == last.provider


def test_one_is_itself() -> None:
    alone = measurement()
    assert in_turn([alone]) is alone


def test_memory_that_is_unknown_stays_so() -> None:
    assert in_turn([measurement(peak_memory_bytes=None), measurement()]).peak_memory_bytes is None
