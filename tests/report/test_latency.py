from __future__ import annotations

import pytest

from edgesft.budget import rounds
from edgesft.report.latency import by_length, latency, sketch
from tests.report.measured import measurement


def test_percentiles_with_their_bounds() -> None:
    found = latency(measurement())
    told, spans = found["latency_ns"], found["latency_bounds_ns"]
    assert told == {"n": 1000, "p50": 1_049_000, "p90": 1_089_000, "p95": 1_094_000, "p99": 1_098_000}
    assert all(lower <= told[p] <= upper for p, (lower, upper) in spans.items())
    assert all(type(value) is int for value in told.values())


def test_bounds_are_those_of_the_budget() -> None:
    """At the row's confidence, and with rows that got no answer as infinitely slow."""
    some = measurement(lost=(10,) * 10)
    for confidence in (0.95, 0.9875):
        found = latency(some, confidence)
        for p in (50, 90, 95, 99):
            value, lower, upper = rounds.interval(some.judged, p, confidence)
            told = found["latency_bounds_ns"][f"p{p}"]
            assert told == tuple(None if bound > 1e18 else bound for bound in (lower, upper))
            assert told[0] is None or told[0] <= value
    assert latency(some)["latency_bounds_ns"]["p99"] == (None, None) and latency(some)["latency_ns"]["n"] == 1000


@pytest.mark.parametrize(("size", "known"), [(1, ["p50"]), (3, ["p50", "p90"]), (6, ["p50", "p90", "p95"])])
def test_a_percentile_that_the_samples_do_not_carry_is_left_out(size: int, known: list[str]) -> None:
    few = measurement(rounds=tuple(tuple(range(1000, 1000 + size)) for _ in range(10)))
    found = latency(few)["latency_ns"]
    assert [p for p in ("p50", "p90", "p95", "p99") if found[p] is not None] == known
    assert found["n"] == 10 * size


def test_latency_by_length() -> None:
    long = [place % 4 == 0 for place in range(1000)]
    samples = tuple(
        tuple(9_000_000 if long[100 * number + place] else 1_000_000 for place in range(100)) for number in range(10)
    )
    found = by_length(measurement(rounds=samples, lengths=tuple(40 if each else 7 for each in long), axis="sequence"))
    short, longer = found
    assert (short["low"], short["high"], short["n"], short["p50"], short["p99"]) == (1, 16, 750, 1_000_000, 1_000_000)
    assert (longer["low"], longer["high"], longer["n"], longer["p50"]) == (33, 64, 250, 9_000_000)
    assert longer["p95"] == 9_000_000 and by_length(measurement()) == []


def test_a_length_of_few_samples_has_no_high_percentile() -> None:
    lengths = (100, *[5] * 999)
    rare = by_length(measurement(lengths=lengths, axis="n"))[1]
    assert rare["n"] == 1 and rare["p99"] is None


def test_samples_in_little() -> None:
    one = measurement()
    found = sketch(one.rounds)
    assert found is not None and len(found["rounds_p50_ns"]) == 10 and len(found["quantiles_ns"]) == 101
    told = latency(one)["latency_ns"]
    assert all(found["quantiles_ns"][p] == told[f"p{p}"] for p in (50, 90, 95, 99))
    assert (found["quantiles_ns"][0], found["quantiles_ns"][100]) == (min(one.samples), max(one.samples))
    assert all(type(value) is int for name in ("rounds_p50_ns", "quantiles_ns") for value in found[name])


def test_rounds_without_a_sample_are_left_out_of_the_sketch() -> None:
    assert sketch(((), (5,), (7, 9, 8))) == {
        "version": 1,
        "rounds_p50_ns": [5, 8],
        "quantiles_ns": [5] * 26 + [7] * 25 + [8] * 25 + [9] * 25,
    }
    assert sketch(()) is None and sketch(((),)) is None
