from __future__ import annotations

import pytest

from edgesft.budget.percentile import Interval
from edgesft.budget.verdict import Line, at_least, at_most, drop, exact, minimum, unknown, worst


def test_worst() -> None:
    assert worst([]) == "pass"
    assert worst(["pass", "inconclusive", "pass"]) == "inconclusive"
    assert worst(["inconclusive", "fail", "pass"]) == "fail"


@pytest.mark.parametrize(
    ("lower", "upper", "verdict"),
    [
        (4.0, 5.0, "pass"),
        (4.0, 5.1, "inconclusive"),
        (5.0, 6.0, "inconclusive"),
        (5.1, 6.0, "fail"),
        (5.1, None, "fail"),
        (4.0, None, "inconclusive"),
        (None, None, "inconclusive"),
    ],
)
def test_at_most_decides_by_the_bounds(lower: float | None, upper: float | None, verdict: str) -> None:
    line = at_most("latency_ms.p95", 5.0, Interval(4.5, lower, upper), short="too few")
    assert line.verdict == verdict
    assert bool(line.reason) == (verdict == "inconclusive")
    if upper is None and verdict == "inconclusive":
        assert line.reason == "too few"


def test_another_machine_leaves_the_line_open() -> None:
    line = at_most("latency_ms.p95", 5.0, Interval(1.0, 0.9, 1.1), differences=["architecture: a", "cores: b"])
    assert line.verdict == "inconclusive"
    assert line.reason == "architecture: a; cores: b"
    assert line.value == 1.0


@pytest.mark.parametrize(
    ("lower", "upper", "verdict"),
    [(0.9, 0.95, "pass"), (0.89, 0.95, "inconclusive"), (0.8, 0.89, "fail"), (None, None, "inconclusive")],
)
def test_at_least_mirrors_it(lower: float | None, upper: float | None, verdict: str) -> None:
    assert at_least("m", 0.9, Interval(0.9, lower, upper), short="few").verdict == verdict


def test_floats_that_should_be_equal_pass() -> None:
    fallen = 0.9 - 0.89
    assert fallen > 0.01
    assert drop("max_drop.accuracy", 0.01, Interval(fallen, None, None), bound=False).verdict == "pass"
    assert drop("max_drop.accuracy", 0.01, Interval(fallen, fallen, fallen), bound=True).verdict == "pass"
    assert minimum("min_metric.accuracy", 0.3, Interval(0.1 * 3 - 1e-12, None, None), bound=False).verdict == "pass"
    assert exact("size_ratio", 0.3, 0.1 * 3).verdict == "pass"


def test_a_point_estimate_decides_unless_a_bound_is_asked() -> None:
    found = Interval(0.009, 0.001, 0.02)
    assert drop("d", 0.01, found, bound=False).verdict == "pass"
    assert drop("d", 0.01, found, bound=True).verdict == "inconclusive"
    assert drop("d", 0.008, found, bound=False).verdict == "fail"
    high = Interval(0.91, 0.88, 0.94)
    assert minimum("m", 0.9, high, bound=False).verdict == "pass"
    assert minimum("m", 0.9, high, bound=True).verdict == "inconclusive"
    assert minimum("m", 0.95, high, bound=True).verdict == "fail"


def test_json_has_a_reason_only_where_there_is_one() -> None:
    plain = {"name": "size_mb", "limit": 25, "value": 24.5, "lower": None, "upper": None, "verdict": "pass"}
    assert exact("size_mb", 25, 24.5).to_json() == plain
    assert list(plain) == list(exact("size_mb", 25, 24.5).to_json())
    assert unknown("size_mb", 25, "why").to_json() == plain | {
        "value": None,
        "verdict": "inconclusive",
        "reason": "why",
    }
    assert exact("size_mb", 25, 25.1) == Line("size_mb", 25, 25.1, None, None, "fail")
