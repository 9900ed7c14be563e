from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.budget import paired
from edgesft.errors import InputError
from edgesft.measure.bench.comparison import BASELINE, CANDIDATE, Comparison, Question, compare
from edgesft.measure.bench.order import Order
from edgesft.measure.driver import MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.progress import Progress
from edgesft.spec.profile import MeasureSpec
from tests.measure import models
from tests.report.measured import measurement

QUIET = Progress(quiet=True)


class Clock:
    """Time that passes only when a block is taken."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """Takes blocks on a made-up machine."""

    def __init__(self, clock: Clock, *, slowdown: float = 1.0, process: float = 0.003, seconds: float = 1.0) -> None:
        self.clock, self.slowdown, self.process, self.seconds = clock, slowdown, process, seconds
        self.rng = np.random.default_rng(0)
        self.orders: list[list[str]] = []

    def __call__(
        self, subjects: Mapping[str, Any], settings: MeasureSpec, *, seed: int, lead_in: int
    ) -> dict[str, Measurement]:
        self.clock.now += self.seconds
        self.orders.append(list(subjects))
        found = {}
        for name in subjects:
            level = 1e6 * np.exp(self.rng.normal(0, self.process)) * (self.slowdown if name == CANDIDATE else 1)
            rounds = tuple(tuple(int(level) + place for place in range(10)) for _ in range(6))
            found[name] = measurement(rounds=rounds)
        return found


def order(tmp_path: Path, *, widths: tuple[int, int] = (4, 4)) -> Order:
    plan = models.profile()
    paths = [
        models.save_product(tmp_path / name, width=width)
        for name, width in zip(("a.onnx", "b.onnx"), widths, strict=True)
    ]
    return Order(paths, plan, plan.providers[:1], axes={"batch": 1})


def on(machine: Machine, tmp_path: Path, question: Question | None = None) -> Comparison:
    return compare(order(tmp_path), question or Question(), QUIET, measured=machine, clock=machine.clock)


@pytest.mark.parametrize(("slowdown", "change"), [(1.0, "same"), (1.05, "slower"), (0.9, "faster")])
def test_it_stops_when_it_is_decided(tmp_path: Path, slowdown: float, change: str) -> None:
    machine = Machine(Clock(), slowdown=slowdown)
    found = on(machine, tmp_path)
    assert paired.change(found.look.ratios["p50"], found.bar) == change
    assert len(found.blocks) == paired.FIRST_LOOK and found.seconds == paired.FIRST_LOOK
    assert not found.refused and 0 < found.floor < 0.05


def test_processes_take_the_lead_by_turns(tmp_path: Path) -> None:
    machine = Machine(Clock())
    on(machine, tmp_path)
    assert sorted(map(tuple, machine.orders)) == [(BASELINE, CANDIDATE)] * 2 + [(CANDIDATE, BASELINE)] * 2


def test_noise_takes_more_blocks_and_ends_with_the_time(tmp_path: Path) -> None:
    machine = Machine(Clock(), slowdown=paired.limit(0.05), process=0.03)
    found = on(machine, tmp_path, Question(seconds=30))
    assert len(found.blocks) == 30 and not found.look.decided
    assert found.refused == (found.floor > 0.05)


def test_an_effect_below_the_noise_is_refused_soon(tmp_path: Path) -> None:
    machine = Machine(Clock(), process=0.03)
    found = on(machine, tmp_path, Question(min_effect=0.002))
    assert found.refused and found.floor > 0.002
    assert found.seconds < 20, "not when the minute is up"


def test_what_is_not_timed_has_no_noise_floor(tmp_path: Path) -> None:
    found = on(Machine(Clock()), tmp_path, Question(gating=()))
    assert found.floor is None and not found.refused and found.look.decided


def test_no_time_is_no_verdict(tmp_path: Path) -> None:
    found = on(Machine(Clock(), seconds=40), tmp_path)
    assert len(found.blocks) == 1 and not found.look.decided and found.look.ratios["p50"].lower is None


def test_what_is_not_told_is_not_decided(tmp_path: Path) -> None:
    machine = Machine(Clock(), seconds=10)
    found = on(machine, tmp_path, Question(gating=("p50", "p99")))
    assert "p99" not in found.look.ratios and not found.look.decided


@pytest.mark.parametrize(
    ("lost", "change"), [({CANDIDATE}, "slower"), ({BASELINE}, "faster"), ({CANDIDATE, BASELINE}, None)]
)
def test_rows_without_an_answer_are_the_slowest(lost: set[str], change: str | None, tmp_path: Path) -> None:
    """Those that got one are as fast on both sides; where most got none on either, nothing is alike."""
    clock = Clock()

    def dropping(subjects: Mapping[str, Any], *_: Any, **__: Any) -> dict[str, Measurement]:
        clock.now += 10
        rounds = ((1_000_000,) * 10,) * 6
        return {name: measurement(rounds=rounds, lost=(20,) * 6 if name in lost else ()) for name in subjects}

    found = compare(order(tmp_path), Question(), QUIET, measured=dropping, clock=clock)
    ratio = found.look.ratios.get("p50")
    assert (ratio and paired.change(ratio, found.bar)) == change and found.look.decided == (change is not None)


def test_one_that_fails_says_which(tmp_path: Path) -> None:
    def failing(subjects: Mapping[str, Any], settings: MeasureSpec, *, seed: int, lead_in: int) -> dict[str, Any]:
        return {CANDIDATE: MeasureError("killed by signal 9"), BASELINE: measurement()}

    with pytest.raises(MeasureError, match=r"candidate .*a\.onnx: killed by signal 9"):
        compare(order(tmp_path), Question(), QUIET, measured=failing)


def test_models_of_other_inputs_are_refused(tmp_path: Path) -> None:
    message = r"candidate must take the baseline's inputs, got x float32\[1, 8\] against x float32\[1, 4\]"
    with pytest.raises(InputError, match=message):
        compare(order(tmp_path, widths=(8, 4)), Question(), QUIET)


def test_what_is_wrong_with_both_is_told_at_once(tmp_path: Path) -> None:
    wrong = replace(order(tmp_path), axes={"bach": 1})
    with pytest.raises(InputError) as caught:
        compare(wrong, Question(), QUIET)
    places = [str(problem.where) for problem in caught.value.problems]
    assert any("candidate" in place for place in places) and any("baseline" in place for place in places)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(min_effect=0), "min effect must be above 0"),
        (Question(min_effect=-0.1), "min effect must be above 0"),
        (Question(gating=("p42",)), "figure must be one of p50, .* got p42"),
        (Question(seconds=0), "seconds must be above 0"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, question: Question, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(order(tmp_path), question, QUIET)


def test_scenarios_without_turns_are_refused(tmp_path: Path) -> None:
    plan = order(tmp_path)
    alone = plan.profile.model_copy(update={"measure": plan.profile.measure.model_copy(update={"scenario": "cold"})})
    with pytest.raises(InputError, match="whose rounds can be taken by turns, got cold"):
        compare(replace(plan, profile=alone), Question(), QUIET)


def test_a_model_against_itself_really_measured(tmp_path: Path) -> None:
    plan = order(tmp_path)
    same = replace(plan, models=[plan.models[0], plan.models[0]])
    found = compare(same, Question(min_effect=1.0, gating=("p50", "peak_memory")), QUIET)
    assert found.look.decided and len(found.blocks) >= paired.FIRST_LOOK
    assert found.look.ratios["peak_memory"].value == pytest.approx(1, abs=0.2)
    assert {"load", "first_inference"} <= set(found.look.ratios)
