"""How far figures grew: which entry decides, what leaves a line open, what lets a failure through."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from edgesft.budget.percentile import NEVER
from edgesft.budget.verdict import Line
from edgesft.errors import InputError
from edgesft.gate import growth
from edgesft.gate.baseline import Acceptance, Baseline, Entry, Key
from edgesft.spec.gate import GrowthSpec
from tests.gate.baselines import COUNTS, baseline, entry, key, timing

TODAY = date(2030, 6, 30)
COUNTED = ("size", "parameters", "macs", "nodes", "partitions", "off_provider", "instructions")
TIMES = ("p50", "p90", "p95", "p99", "load", "first_inference")


def only(**limits: float | None) -> GrowthSpec:
    """Limits that the user wrote; all others are null."""
    return GrowthSpec(**(dict.fromkeys(GrowthSpec.model_fields) | limits))


def judge(spec: GrowthSpec, base: Baseline, whose: Key | None = None, **figures: Any) -> list[tuple[Line, str | None]]:
    told = {name: value for name, value in (COUNTS | figures).items() if value is not None}
    return growth.judge(spec, told, whose or key(), base, TODAY)


def one(figure: str, limit: float, old: Any, new: Any, **others: Any) -> Line:
    """The line of a figure that both sides have."""
    ((line, why),) = judge(only(**{figure: limit}), baseline(entry(**{figure: old})), **{figure: new}, **others)
    assert line.name == f"max_growth.{figure}" and line.limit == limit and why is None
    return line


# What is counted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", [*COUNTED, "peak_memory"])
@pytest.mark.parametrize(
    ("limit", "new", "verdict"),
    [(0.0, 1000, "pass"), (0.0, 1001, "fail"), (0.0, 900, "pass"), (0.1, 1100, "pass"), (0.1, 1101, "fail")],
)
def test_a_count_may_grow_as_far_as_its_limit(figure: str, limit: float, new: int, verdict: str) -> None:
    line = one(figure, limit, 1000, new)
    assert line.verdict == verdict and line.value == pytest.approx(new / 1000 - 1)
    assert (line.reason == f"the baseline has 1,000, this has {new:,}") == (verdict == "fail")


def test_one_more_is_too_much_where_nothing_may_grow() -> None:
    assert one("macs", 0.0, 10**12, 10**12 + 1).verdict == "fail"
    assert one("macs", 0.0, 10**12, 10**12).verdict == "pass"


def test_growth_from_nothing_has_no_share() -> None:
    for limit in (0.0, 0.5, 100.0):
        line = one("off_provider", limit, 0, 3)
        assert line.verdict == "fail" and line.value is None
        assert line.reason and "the baseline has 0, this has 3" in line.reason
        assert one("off_provider", limit, 0, 0).verdict == "pass"
        assert one("off_provider", limit, 3, 0).verdict == "pass"


def test_verdicts_of_counts_follow_from_the_share() -> None:
    rng = random.Random(1)
    for _ in range(300):
        old, new, limit = rng.randrange(1, 10**9), rng.randrange(10**9), rng.choice([0.0, 0.01, 0.3, 2.0])
        line = one("size", limit, old, max(1, new))
        assert (line.verdict == "fail") == (max(1, new) > old * (1 + limit))


# What is timed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", TIMES)
@pytest.mark.parametrize(
    ("new", "margin", "verdict"),
    [
        (1_000, 10, "pass"),
        (1_070, 10, "pass"),
        (1_200, 10, "fail"),
        (1_090, 10, "inconclusive"),
        (900, 400, "inconclusive"),
    ],
)
def test_a_time_is_judged_by_both_sides_bounds(figure: str, new: int, margin: int, verdict: str) -> None:
    line = one(figure, 0.1, timing(1_000_000, 10_000), timing(new * 1000, margin * 1000))
    assert line.verdict == verdict and line.value == pytest.approx(new / 1000 - 1)
    assert line.upper == pytest.approx((new + margin) / 990 - 1)
    assert line.lower == pytest.approx((new - margin) / 1010 - 1)


def test_wider_bounds_of_either_side_never_decide_the_other_way() -> None:
    rng, decided = random.Random(2), set()
    for _ in range(300):
        old, new, limit = rng.randrange(10**6, 2 * 10**6), rng.randrange(10**6, 2 * 10**6), rng.uniform(0, 0.5)
        narrow = one("p50", limit, timing(old), timing(new)).verdict
        assert narrow == ("fail" if new / old - 1 > limit else "pass")
        for theirs, ours in ((10**4, 0), (0, 10**4), (10**5, 10**5)):
            wide = one("p50", limit, timing(old, theirs), timing(new, ours)).verdict
            assert wide in (narrow, "inconclusive")
            decided.add(wide)
    assert decided == {"pass", "fail", "inconclusive"}


@pytest.mark.parametrize("short", ["this check's", "the baseline's"])
def test_too_few_samples_leave_a_time_open(short: str) -> None:
    sides = [{"value": 1_000_000, "n": 3}, timing(1_000_000)]
    line = one("load", 0.1, *(sides if short == "the baseline's" else reversed(sides)))
    assert line.verdict == "inconclusive" and line.value == 0.0 and line.reason and f"{short} n=3" in line.reason


def test_a_time_that_grew_says_from_what_to_what() -> None:
    assert one("p50", 0.1, timing(1_000_000), timing(1_250_000)).reason == "the baseline has 1 ms, this has 1.25 ms"
    assert one("p50", 0.1, timing(1_000_000), timing(NEVER)).reason == "the baseline has 1 ms, this has no answer"


def test_a_time_of_nothing_has_no_growth() -> None:
    line = one("p50", 0.1, timing(0), timing(5))
    assert line.verdict == "inconclusive" and line.reason and "0 ns" in line.reason
    assert one("p50", 0.1, timing(1, 1), timing(5)).verdict == "fail"


@pytest.mark.parametrize("side", ["this", "the baseline's"])
def test_unsteady_times_decide_nothing(side: str) -> None:
    base, new = (["it drifted"], []) if side == "the baseline's" else ([], ["it drifted"])
    held = baseline(entry(p50=timing(100), load=timing(100), unsteady=base))
    lines = dict(
        (line.name, line)
        for line, _ in judge(only(p50=0.1, load=0.1), held, p50=timing(100), load=timing(100), unsteady=new)
    )
    assert lines["max_growth.p50"].reason == f"{side} measurement cannot decide: it drifted"
    assert lines["max_growth.p50"].verdict == "inconclusive" and lines["max_growth.load"].verdict == "pass"


def test_times_and_placement_under_other_options_do_not_compare() -> None:
    held = baseline(entry(key(options={"mode": "burst"}), p50=timing(100), partitions=1))
    lines = {
        line.name: line
        for line, _ in judge(only(p50=0.1, partitions=0.0, nodes=0.0), held, p50=timing(100), partitions=1)
    }
    for name in ("p50", "partitions"):
        line = lines[f"max_growth.{name}"]
        assert line.verdict == "inconclusive" and line.reason == "options: the baseline has mode=burst, this is none"
    assert lines["max_growth.nodes"].verdict == "pass"


@pytest.mark.parametrize("name", ["scenario", "inputs"])
def test_times_of_other_requests_do_not_compare(name: str) -> None:
    held = baseline(entry(p50=timing(100), **{name: "old"}))
    ((line, _),) = judge(only(p50=0.1), held, p50=timing(100), **{name: "new"})
    assert line.verdict == "inconclusive" and line.reason == f"{name}: the baseline has old, this is new"
    for told in ({name: "old"}, {}):
        assert judge(only(p50=0.1), held, p50=timing(100), **told)[0][0].verdict == "pass"


# Which entry decides --------------------------------------------------------------------------------------------------

OTHERS: dict[str, Any] = {
    "profile": "pi",
    "provider": "QNNExecutionProvider",
    "runtime": "1.31.0",
    "threads": 2,
    "io": "device",
    "machine_architecture": "aarch64",
    "machine_system": "Darwin",
    "machine_model": "another core",
    "machine_board": "another board",
    "machine_cores": 8,
    "machine_instructions": ["v"],
}

MATTERS = {
    **dict.fromkeys((*TIMES, "peak_memory"), frozenset(OTHERS)),
    **dict.fromkeys(("size", "parameters", "macs", "nodes"), frozenset[str]()),
    **dict.fromkeys(("partitions", "off_provider"), frozenset({"provider", "runtime"})),
    "instructions": {"provider", "runtime", "threads", "machine_architecture", "machine_instructions"},
}


@pytest.mark.parametrize("figure", MATTERS)
def test_what_a_figure_depends_on_must_agree(figure: str) -> None:
    value: Any = timing(100) if figure in TIMES else 100
    for name, other in OTHERS.items():
        held = baseline(entry(key(**{name: other}), **{figure: value}))
        ((line, _),) = judge(only(**{figure: 0.1}), held, **{figure: value})
        field = name.replace("machine_", "machine.")
        assert line.verdict == ("inconclusive" if name in MATTERS[figure] else "pass"), name
        if name in MATTERS[figure]:
            assert line.reason and line.reason.startswith(f"{field}: the baseline has ") and ";" not in line.reason


def test_each_field_that_differs_is_named() -> None:
    held = baseline(entry(key(**OTHERS), p50=timing(100)))
    ((line, _),) = judge(only(p50=0.1), held, p50=timing(100))
    assert line.reason and line.reason.count("the baseline has") == len(OTHERS)
    assert "runtime: the baseline has 1.31.0, this is 1.32.0" in line.reason


def test_what_is_static_is_decided_on_another_machine() -> None:
    held = baseline(entry(key(**OTHERS), p50=timing(100), peak_memory=5))
    found = {
        line.name: line.verdict for line, _ in judge(GrowthSpec(), held, size=1001, p50=timing(100), peak_memory=5)
    }
    assert found == {
        "max_growth.p50": "inconclusive",
        "max_growth.peak_memory": "inconclusive",
        "max_growth.size": "fail",
        "max_growth.parameters": "pass",
        "max_growth.nodes": "pass",
    }


def test_the_nearest_entry_decides() -> None:
    def grown(*entries: Entry) -> float | None:
        return judge(only(size=0.0), baseline(*entries), size=1000)[0][0].value

    same, profile = entry(size=1000), entry(key(runtime="1.30.0", threads=8), size=500)
    elsewhere = entry(key(profile="pi"), size=250)
    assert grown(elsewhere, profile, same) == 0.0
    assert grown(elsewhere, profile) == 1.0 and grown(elsewhere) == 3.0


def test_of_entries_that_fit_the_newest_decides() -> None:
    """Else a file that was updated on one machine would fail on others."""
    old, new = "2029-01-01T00:00:00+00:00", "2029-01-01T01:00:00+02:00"
    held = baseline(entry(size=500, created=old), entry(key(machine_cores=64), size=800, created=new))
    assert judge(only(size=0.0), held)[0][0].value == 1.0
    held = baseline(entry(size=500, created=new), entry(key(machine_cores=64), size=800, created=old))
    assert judge(only(size=0.0), held)[0][0].value == 0.25


def test_another_models_entries_do_not_count() -> None:
    held = baseline(entry(), entry(key(model="n.onnx"), size=1))
    assert judge(only(size=0.0), held)[0][0].verdict == "pass"
    with pytest.raises(InputError, match=r"must have an entry of model 'x.onnx', got those of 'm.onnx', 'n.onnx'"):
        judge(only(size=0.0), held, key(model="x.onnx"))


def test_instructions_compare_by_what_counted_them() -> None:
    whose = key(threads=4, machine_instructions=["v", "avx"])
    held = baseline(entry(whose, instructions=100, counted="callgrind, a cpu"))
    ((line, _),) = judge(only(instructions=0.01), held, instructions=101, counted="callgrind, a cpu")
    assert line.verdict == "pass"
    ((line, _),) = judge(only(instructions=0.01), held, whose, instructions=100, counted="perf, a cpu")
    assert line.verdict == "inconclusive" and line.reason and line.reason.startswith("counted: the baseline has callgr")


# What a side lacks ----------------------------------------------------------------------------------------------------

DEAR = ("p50", "peak_memory", "macs", "partitions", "off_provider", "instructions")
"""Figures with a default limit that not every check finds."""


@pytest.mark.parametrize("figure", DEAR)
def test_a_default_limit_is_silent_where_a_side_lacks_the_figure(figure: str) -> None:
    value: Any = timing(100) if figure in TIMES else 100
    spec = GrowthSpec(size=0.0)
    for held, told in ((entry(), {figure: value}), (entry(**{figure: value}), {})):
        names = [line.name for line, _ in judge(spec, baseline(held), **told)]
        assert names == ["max_growth.size", "max_growth.parameters", "max_growth.nodes"]
        assert growth.unheld(spec, COUNTS | told, key(), baseline(held)) == [figure]
    both = baseline(entry(**{figure: value}))
    assert f"max_growth.{figure}" in [line.name for line, _ in judge(spec, both, **{figure: value})]
    assert growth.unheld(spec, COUNTS | {figure: value}, key(), both) == []


@pytest.mark.parametrize("figure", [*TIMES, *DEAR])
def test_a_limit_that_was_written_is_open_where_a_side_lacks_the_figure(figure: str) -> None:
    value: Any = timing(100) if figure in TIMES else 100
    cases = [
        (entry(), {figure: value}, f"the baseline has no {figure} for this: edgesft baseline update"),
        (entry(**{figure: value}), {}, f"this check found no {figure}, where the baseline has it"),
        (entry(), {}, f"this check found no {figure}, and neither has the baseline"),
    ]
    for held, told, words in cases:
        ((line, why),) = judge(only(**{figure: 0.5}), baseline(held), **told)
        assert line.verdict == "inconclusive" and line.reason and line.reason.startswith(words) and why is None


@pytest.mark.parametrize("figure", ["parameters", "nodes"])
def test_what_every_check_finds_must_be_there(figure: str) -> None:
    """Only an .ort file lacks it, and the other side is none."""
    for held, told in ((entry(**{figure: None}), {}), (entry(), {figure: None})):
        lines = {line.name: line.verdict for line, _ in judge(GrowthSpec(), baseline(held), **told)}
        assert lines[f"max_growth.{figure}"] == "inconclusive"
    neither = [line.name for line, _ in judge(GrowthSpec(), baseline(entry(**{figure: None})), **{figure: None})]
    assert f"max_growth.{figure}" not in neither


def test_too_few_samples_for_a_percentile_are_told() -> None:
    ((line, _),) = judge(only(p99=0.1), baseline(entry(p99=timing(100))), p50=timing(100, n=100))
    assert line.reason == "n=100 is too small for p99, where the baseline has it"


def test_another_profiles_times_do_not_concern_a_profile_that_has_entries() -> None:
    held = baseline(entry(), entry(key(profile="pi"), p50=timing(100)))
    assert "max_growth.p50" not in [line.name for line, _ in judge(GrowthSpec(), held, p50=timing(100))]
    elsewhere = key(machine_model="another core")
    assert "max_growth.p50" not in [line.name for line, _ in judge(GrowthSpec(), held, elsewhere, p50=timing(100))]


def test_what_its_own_entry_lacks_is_not_looked_for_on_other_machines() -> None:
    held = baseline(entry(), entry(key(machine_cores=64), p50=timing(100)))
    told = COUNTS | {"p50": timing(100)}
    assert "max_growth.p50" not in [line.name for line, _ in judge(GrowthSpec(), held, **told)]
    assert growth.unheld(GrowthSpec(), told, key(), held) == ["p50"]
    ((line, _),) = judge(only(p50=0.1), held, **told)
    assert line.verdict == "inconclusive" and line.reason == "the baseline has no p50 for this: edgesft baseline update"


def test_what_is_null_has_no_line() -> None:
    assert judge(only(), baseline(), size=10**9) == []


# What is let through --------------------------------------------------------------------------------------------------


def accept(**changes: Any) -> Acceptance:
    told = {"line": "max_growth.size", "model": "m.onnx", "up_to": 0.1, "reason": "a head", "until": TODAY}
    return Acceptance(**(told | changes))


def through(*accepted: Acceptance, size: int = 1050, whose: Key | None = None) -> tuple[Line, str | None]:
    ((line, why),) = judge(only(size=0.0), baseline(accepted=accepted), whose, size=size)
    return line, why


def test_a_failure_is_let_through_on_its_last_day() -> None:
    line, why = through(accept())
    assert why == "a head (until 2030-06-30)" and line.verdict == "fail" and line.value == pytest.approx(0.05)
    assert through(accept(), size=1100)[1] is not None


def test_an_acceptance_that_is_over_says_so() -> None:
    line, why = through(accept(until=date(2030, 6, 29)))
    assert why is None and line.verdict == "fail"
    assert line.reason and "its acceptance (a head) expired on 2030-06-29" in line.reason


def test_more_growth_than_was_accepted_fails() -> None:
    line, why = through(accept(), size=1101)
    assert why is None and line.verdict == "fail"
    assert line.reason and "accepted only up to 0.1 (a head, until 2030-06-30)" in line.reason


@pytest.mark.parametrize("changes", [{"line": "max_growth.nodes"}, {"model": "n.onnx"}, {"profile": "pi"}])
def test_another_acceptance_lets_nothing_through(changes: Any) -> None:
    line, why = through(accept(**changes))
    assert why is None and line.reason == "the baseline has 1,000, this has 1,050"


def test_an_acceptance_of_the_profile_holds_beside_one_that_is_over() -> None:
    assert through(accept(until=date(2000, 1, 1)), accept(profile="ci", reason="x"))[1] == "x (until 2030-06-30)"
    assert through(accept(profile="ci", until=date(2000, 1, 1)), accept(reason="y"))[1] == "y (until 2030-06-30)"


def test_what_did_not_fail_needs_no_acceptance() -> None:
    assert through(accept(), size=1000) == (Line("max_growth.size", 0.0, 0.0, None, None, "pass"), None)
    held = baseline(entry(key(threads=2), p50=timing(100)), accepted=[accept(line="max_growth.p50")])
    ((line, why),) = judge(only(p50=0.0), held, p50=timing(105))
    assert line.verdict == "inconclusive" and why is None


def test_a_slowdown_is_accepted_by_its_value() -> None:
    for value, accepted in ((1050, True), (1150, False)):
        held = baseline(entry(p50=timing(1000)), accepted=[accept(line="max_growth.p50")])
        ((line, why),) = judge(only(p50=0.0), held, p50=timing(value, 5))
        assert line.verdict == "fail" and (why is not None) == accepted


def test_growth_from_nothing_cannot_be_accepted() -> None:
    held = baseline(entry(off_provider=0), accepted=[accept(line="max_growth.off_provider", up_to=100)])
    ((line, why),) = judge(only(off_provider=0.0), held, off_provider=1)
    assert line.verdict == "fail" and why is None
