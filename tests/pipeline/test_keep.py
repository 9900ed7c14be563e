"""Keep what pays."""

from __future__ import annotations

from edgesft.budget.percentile import Interval
from edgesft.pipeline.keep import Decision, recovery, speed, untimed


def judged(latency: Interval, size: float = 1.0, drop: float = 0.0) -> tuple[bool, str]:
    decision = speed(latency=latency, size=size, metric="accuracy", drop=drop, allowance=0.01)
    return decision.kept, decision.reason


def test_faster_stays() -> None:
    assert judged(Interval(0.5, 0.48, 0.52)) == (True, "latency 0.50 of before")


def test_faster_by_less_than_the_noise_goes() -> None:
    kept, reason = judged(Interval(0.97, 0.93, 1.01))
    assert not kept and "neither faster nor smaller" in reason


def test_smaller_at_the_same_latency_stays() -> None:
    assert judged(Interval(1.0, 0.97, 1.03), size=0.25) == (True, "size 0.25 of before at latency 1.00")
    assert judged(Interval(1.005, 1.001, 1.01), size=0.25)[0]
    assert not judged(Interval(1.005, 1.001, 1.01), size=0.9)[0], "a few bytes are worth no time"
    assert not judged(Interval(1.03, 1.025, 1.035), size=0.25)[0]


def test_smaller_but_slower_goes_with_the_likely_reason() -> None:
    kept, reason = judged(Interval(1.2, 1.15, 1.25), size=0.25)
    assert not kept and "slower" in reason and "kernels" in reason


def test_beyond_the_allowance_goes_however_fast() -> None:
    kept, reason = judged(Interval(0.3, 0.29, 0.31), drop=0.023)
    assert not kept and reason == "accuracy fell 2.3 points below the original, 1.0 allowed"


def test_what_is_no_number_is_within_no_allowance() -> None:
    for drop in (float("nan"), float("inf")):
        assert judged(Interval(0.3, 0.29, 0.31), drop=drop) == (False, "accuracy is not a number")


def test_the_allowance_itself_is_allowed() -> None:
    assert judged(Interval(0.5, 0.48, 0.52), drop=0.9 - 0.89)[0]


def test_a_recovery_must_not_lose() -> None:
    assert recovery(metric="accuracy", before=0.80, after=0.82).reason == "accuracy +2.0 points"
    assert recovery(metric="accuracy", before=0.80, after=0.80) == Decision(
        True, "accuracy +0.0 points: as good, and trained for longer"
    )
    assert not recovery(metric="accuracy", before=0.80, after=0.79).kept
    lost = recovery(metric="accuracy", before=0.80, after=float("nan"))
    assert lost == Decision(False, "accuracy is not a number: nothing gained")
    assert recovery(metric="accuracy", before=float("nan"), after=0.1).kept


def bytes_alone(size: float, drop: float = 0.0) -> Decision:
    return untimed(size=size, metric="accuracy", drop=drop, allowance=0.01)


def test_where_nothing_can_be_timed_bytes_decide() -> None:
    assert bytes_alone(0.26) == Decision(True, "size 0.26 of before; not timed")
    assert not bytes_alone(0.99).kept and "not smaller" in bytes_alone(0.99).reason
    assert bytes_alone(0.26, drop=0.023).reason == "accuracy fell 2.3 points below the original, 1.0 allowed"
