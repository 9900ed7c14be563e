from __future__ import annotations

from dataclasses import replace

import pytest

from edgesft.budget.lines import Facts, judge, latency_limit, size_limit
from edgesft.budget.percentile import NEVER, Interval
from edgesft.budget.verdict import worst
from edgesft.spec.budget import BudgetSpec

MS = 1_000_000


def spread(around_ms: float, rounds: int = 20, count: int = 20) -> list[list[int]]:
    """Rounds of samples within 2 % of a latency."""
    return [[int(around_ms * MS * (0.98 + 0.04 * i / count)) for i in range(count)] for _ in range(rounds)]


FACTS = Facts(
    size_bytes=23_000_000,
    original_size_bytes=92_000_000,
    rounds=spread(4),
    original_rounds=spread(16),
    loads_ns=[90 * MS, 95 * MS, 100 * MS, 101 * MS, 110 * MS],
    firsts_ns=[9 * MS] * 5,
    peak_memory_bytes=180_000_000,
    metrics={"accuracy": Interval(0.89, 0.87, 0.91)},
    drops={"accuracy": Interval(0.005, -0.002, 0.012)},
)

BUDGET = BudgetSpec.model_validate(
    {
        "latency_ms": {"p50": 5, "p95": 5},
        "latency_ratio": {"p50": 0.33},
        "load_ms": 120,
        "first_inference_ms": 10,
        "size_mb": 25,
        "size_ratio": 0.25,
        "peak_memory_mb": 200,
        "max_drop": {"accuracy": 0.01},
        "min_metric": {"accuracy": 0.88},
    }
)


def verdicts(budget: dict[str, object], facts: Facts = FACTS) -> dict[str, str]:
    return {line.name: line.verdict for line in judge(BudgetSpec.model_validate(budget), facts)}


def test_every_limit_is_a_line() -> None:
    lines = judge(BUDGET, FACTS)
    assert [line.name for line in lines] == [
        "latency_ms.p50",
        "latency_ms.p95",
        "latency_ratio.p50",
        "load_ms",
        "first_inference_ms",
        "size_mb",
        "size_ratio",
        "peak_memory_mb",
        "max_drop.accuracy",
        "min_metric.accuracy",
    ]
    assert worst(line.verdict for line in lines) == "pass"
    values = {line.name: line.value for line in lines}
    assert values["latency_ms.p50"] == pytest.approx(4, rel=0.02)
    assert values["latency_ratio.p50"] == pytest.approx(0.25, rel=0.01)
    assert (values["load_ms"], values["size_mb"], values["size_ratio"], values["peak_memory_mb"]) == (
        100,
        23,
        0.25,
        180,
    )


def test_an_empty_budget_has_no_line() -> None:
    assert judge(BudgetSpec(), FACTS) == []


@pytest.mark.parametrize(
    "budget",
    [
        {"latency_ms": {"p95": 3.9}},
        {"latency_ratio": {"p50": 0.2}},
        {"load_ms": 80},
        {"first_inference_ms": 8},
        {"size_mb": 22.9},
        {"size_ratio": 0.2},
        {"peak_memory_mb": 179},
        {"max_drop": {"accuracy": 0.004}},
        {"min_metric": {"accuracy": 0.9}},
    ],
)
def test_each_limit_can_fail(budget: dict[str, object]) -> None:
    assert list(verdicts(budget).values()) == ["fail"]


def test_few_samples_say_how_many_are_needed() -> None:
    few = Facts(size_bytes=1, rounds=[[MS] * 10] * 5, loads_ns=[MS])
    lines = judge(BudgetSpec.model_validate({"latency_ms": {"p50": 5, "p99": 5}, "load_ms": 9}), few)
    assert [line.verdict for line in lines] == ["pass", "inconclusive", "inconclusive"]
    assert lines[1].reason == "n=50 is too small to bound p99, which needs n=299"
    assert lines[2].reason == "n=1 is too small to bound p50, which needs n=5"


@pytest.mark.parametrize(
    ("lost", "answered", "verdicts"),
    [(0, 20, ["pass", "pass"]), (1, 60, ["pass", "pass"]), (4, 20, ["pass", "fail"]), (15, 5, ["fail", "fail"])],
    ids=["none", "a few", "many", "most"],
)
def test_what_got_no_answer_took_for_ever(lost: int, answered: int, verdicts: list[str]) -> None:
    """Those that got one did within 4.1 ms."""
    rounds = [[*taken, *[NEVER] * lost] for taken in spread(4, count=answered)]
    facts = Facts(size_bytes=1, rounds=rounds, lost=20 * lost)
    lines = judge(BudgetSpec.model_validate({"latency_ms": {"p50": 5, "p95": 5}}), facts)
    assert [line.verdict for line in lines] == verdicts
    reason = f"{20 * lost} of {sum(map(len, rounds))} rows got no answer, and count as infinitely slow"
    assert [line.reason for line in lines] == [reason if lost else None] * 2
    if verdicts[1] == "fail":
        assert lines[1].value is lines[1].lower is lines[1].upper is None, "no number stands for it"


def test_another_machine_opens_absolute_times_and_nothing_else() -> None:
    there = "architecture: the profile is for aarch64, this machine is x86_64"
    facts = Facts(**{**vars(FACTS), "differences": [there]})
    lines = judge(BUDGET, facts)
    opened = {line.name: line.reason for line in lines if line.verdict == "inconclusive"}
    assert opened == dict.fromkeys(["latency_ms.p50", "latency_ms.p95", "load_ms", "first_inference_ms"], there)


def test_confidence_asks_for_the_bound() -> None:
    assert verdicts({"max_drop": {"accuracy": 0.01}, "confidence": 0.95}) == {"max_drop.accuracy": "inconclusive"}
    assert verdicts({"max_drop": {"accuracy": 0.012}, "confidence": 0.95}) == {"max_drop.accuracy": "pass"}
    assert verdicts({"min_metric": {"accuracy": 0.88}, "confidence": 0.95}) == {"min_metric.accuracy": "inconclusive"}


def test_what_was_not_found_out_is_open_and_says_why() -> None:
    lines = judge(BUDGET, Facts(size_bytes=1))
    found = {line.name: line for line in lines if line.name != "size_mb"}
    assert {line.verdict for line in found.values()} == {"inconclusive"}
    assert all(line.reason and line.value is None for line in found.values())
    metric = judge(BudgetSpec.model_validate({"max_drop": {"f1": 0.01}}), FACTS)[0]
    assert metric.reason == "f1 was not measured; available: accuracy"
    alone = replace(FACTS, drops={})
    drop = judge(BudgetSpec.model_validate({"max_drop": {"accuracy": 0.01}}), alone)[0]
    assert drop.reason == "accuracy of the original is not known on these rows, and a drop is below that"


def test_an_unsteady_machine_opens_latencies_and_nothing_else() -> None:
    why = "latency drifted by +12% while it was measured"
    lines = judge(BUDGET, Facts(**{**vars(FACTS), "unsteady": [why]}))
    opened = {line.name: line.reason for line in lines if line.verdict == "inconclusive"}
    assert opened == dict.fromkeys(["latency_ms.p50", "latency_ms.p95"], why)


def test_the_confidence_of_a_look_widens_what_comes_from_rounds() -> None:
    budget = BudgetSpec.model_validate({"latency_ms": {"p95": 5}, "latency_ratio": {"p50": 0.33}, "load_ms": 120})
    facts = Facts(**{**vars(FACTS), "rounds": spread(4, count=500)})
    stated = judge(budget, facts)
    look = judge(budget, Facts(**{**vars(facts), "confidence": 0.999}))
    assert look[0].upper > stated[0].upper and look[0].lower < stated[0].lower
    assert look[1].upper >= stated[1].upper
    assert look[2] == stated[2]
    short = judge(budget, Facts(size_bytes=1, rounds=[[MS] * 20] * 5, confidence=0.999))
    assert short[0].reason == "n=100 is too small to bound p95, which needs n=135"


def test_dependent_samples_have_wide_bounds() -> None:
    """Each round says one thing: far limits are decided all the same, near ones are not."""
    levels = [4.0, 4.4, 3.7, 4.1, 3.9, 4.6, 4.2, 3.8, 4.3, 4.05] * 2
    facts = Facts(size_bytes=1, rounds=[[int(level * MS)] * 50 for level in levels])
    for limit, verdict in ((9, "pass"), (6, "inconclusive"), (0.5, "fail")):
        (line,) = judge(BudgetSpec.model_validate({"latency_ms": {"p95": limit}}), facts)
        assert line.verdict == verdict, line


def test_few_rounds_say_that_they_are_few() -> None:
    few = Facts(size_bytes=1, rounds=[[MS] * 100] * 4)
    (line,) = judge(BudgetSpec.model_validate({"latency_ms": {"p95": 9}}), few)
    assert line.reason == "5 rounds are needed to tell how samples depend on each other, got 4"


def test_the_size_that_is_asked_for_in_bytes() -> None:
    assert size_limit(BudgetSpec(), 100) is None
    assert size_limit(BudgetSpec(size_mb=2), None) == 2_000_000
    assert size_limit(BudgetSpec(size_mb=2, size_ratio=0.25), 4_000_000) == 1_000_000
    assert size_limit(BudgetSpec(size_ratio=0.25), None) is None


def test_agreement_with_the_original_on_a_cpu_is_a_share_of_rows() -> None:
    asked = BudgetSpec(agreement=0.99)
    for share, verdict in ((0.995, "pass"), (0.99, "pass"), (0.98, "fail"), (None, "inconclusive")):
        (line,) = judge(asked, Facts(size_bytes=1, agreement=share))
        assert (line.name, line.verdict, line.value) == ("agreement", verdict, share)


def test_what_ran_on_a_simulator_says_so_on_every_timed_line() -> None:
    asked = BudgetSpec.model_validate({"latency_ms": {"p95": 5}, "latency_ratio": {"p50": 0.5}, "load_ms": 9})
    told = judge(asked, Facts(size_bytes=1, untimed="it ran on a simulator"))
    assert {line.verdict for line in told} == {"inconclusive"}
    assert {line.reason for line in told} == {"it ran on a simulator"} and len(told) == 3


def test_a_frame_takes_a_share_of_the_time_to_the_next() -> None:
    budget = {"real_time_factor": {"p50": 0.5, "p95": 0.45}}
    streaming = replace(FACTS, period_ns=10 * MS)
    assert verdicts(budget, streaming) == {"real_time_factor.p50": "pass", "real_time_factor.p95": "pass"}
    assert verdicts(budget, replace(FACTS, period_ns=7 * MS)) == dict.fromkeys(
        ("real_time_factor.p50", "real_time_factor.p95"), "fail"
    )
    (line, _) = judge(BudgetSpec.model_validate(budget), FACTS)
    assert line.verdict == "inconclusive" and "have no duration of sound" in str(line.reason)


def test_first_tokens_and_pace() -> None:
    budget = {"first_token_ms": {"p50": 50, "p90": 30}, "tokens_per_second": 200}
    spoken = replace(FACTS, opening_rounds=spread(40))
    assert verdicts(budget, spoken) == {
        "first_token_ms.p50": "pass",
        "first_token_ms.p90": "fail",
        "tokens_per_second": "pass",
    }
    assert verdicts({"tokens_per_second": 300}, spoken) == {"tokens_per_second": "fail"}
    pace = judge(BudgetSpec.model_validate(budget), spoken)[-1]
    assert pace.value == pytest.approx(250, rel=0.03) and pace.lower is not None and pace.lower <= pace.value


def test_a_picture_takes_so_many_inferences() -> None:
    one, many = replace(FACTS, inferences=1), replace(FACTS, inferences=20)
    (single,), (whole,) = (judge(BudgetSpec(picture_ms=1000), each) for each in (one, many))
    assert whole.verdict == "pass" and single.value and whole.value == pytest.approx(20 * single.value)
    assert whole.upper == pytest.approx(20 * single.upper)  # type: ignore[operator]
    assert verdicts({"picture_ms": whole.value * 0.9}, many) == {"picture_ms": "fail"}  # type: ignore[operator]
    (line,) = judge(BudgetSpec(picture_ms=1000), FACTS)
    assert line.verdict == "inconclusive" and line.reason == "this task makes no pictures"


def test_pace_of_tasks_without_tokens_is_open() -> None:
    lines = judge(BudgetSpec.model_validate({"first_token_ms": {"p50": 50}, "tokens_per_second": 200}), FACTS)
    assert [(line.verdict, line.reason) for line in lines] == [
        ("inconclusive", "this task does not answer token by token")
    ] * 2
    other = judge(
        BudgetSpec.model_validate({"tokens_per_second": 1}), replace(FACTS, opening_rounds=(), differences=["cores"])
    )
    assert other[0].verdict == "inconclusive"


def test_the_most_time_that_a_budget_allows() -> None:
    budget = BudgetSpec.model_validate({"latency_ms": {"p50": 3, "p95": 2}, "latency_ratio": {"p50": 0.5}})
    assert latency_limit(BudgetSpec(), 10e6, here=True) is None
    assert latency_limit(budget, 10e6, here=True) == 3e6, "2 ms of the p95 say nothing of the median"
    assert latency_limit(budget, 10e6, here=False) == 5e6
    shares = BudgetSpec.model_validate({"latency_ms": {"p95": 5}, "latency_ratio": {"p50": 0.5, "p99": 0.4}})
    assert latency_limit(shares, 4.5e6, here=True) == pytest.approx(0.4 * 4.5e6)
    assert latency_limit(BudgetSpec.model_validate({"latency_ms": {"p95": 5}}), 4.5e6, here=True) is None
