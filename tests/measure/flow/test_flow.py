from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.measure.flow import Flow, Outcome

SOON = 10
"""Seconds after which a test fails that waits for something in vain."""

MS = 1_000_000


class Clock:
    """Nanoseconds as a test sets them."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Gate:
    """A step that stops at the row 0 until it is opened; `reached` tells that it stands there."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self, row: Any) -> Any:
        if row == 0:
            self.reached.set()
            assert self._open.wait(SOON)
        return row

    def open(self) -> None:
        self._open.set()


def same(value: Any) -> Any:
    return value


def held(queue: int, **options: Any) -> tuple[Flow, Gate]:
    """A flow whose `before` stands at the row 0, so that all that is submitted then has to wait."""
    gate = Gate()
    flow = Flow(gate, [same], same, queue=queue, **options)
    flow.submit(0)
    assert gate.reached.wait(SOON)
    return flow, gate


def states(outcomes: list[Outcome]) -> list[tuple[int, str]]:
    return [(outcome.number, outcome.state) for outcome in outcomes]


def started(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_every_row_is_answered_once_with_its_own_value() -> None:
    def run(value: int) -> int:
        time.sleep(random.random() / 10_000)
        return value * 10

    with Flow(lambda row: row + 1, [run] * 3, str, queue=4) as flow:
        numbers = [flow.submit(row, block=True) for row in range(100)]
    outcomes = list(flow)
    assert numbers == list(range(100))
    assert {outcome.number: outcome.value for outcome in outcomes} == {n: str((n + 1) * 10) for n in range(100)}
    assert len(outcomes) == 100 and {outcome.state for outcome in outcomes} == {"answered"}
    finished = [outcome.finished_ns for outcome in outcomes]
    assert finished == sorted(finished), "in the order of completion"
    for outcome in outcomes:
        assert outcome.started_ns is not None and outcome.arrival_ns <= outcome.started_ns <= outcome.finished_ns


def test_the_steps_are_at_work_at_once() -> None:
    """They meet, each with another row, which a loop never could."""
    meeting = threading.Barrier(3)

    def step(own: int) -> Callable[[int], int]:
        def work(row: int) -> int:
            if row == own:
                meeting.wait(SOON)
            return row

        return work

    with Flow(step(2), [step(1)], step(0), queue=3) as flow:
        for row in range(3):
            flow.submit(row)
    assert states(list(flow)) == [(0, "answered"), (1, "answered"), (2, "answered")]


def test_the_sessions_are_at_work_at_once() -> None:
    meeting = threading.Barrier(3)
    callers: Counter[str] = Counter()

    def session(name: str) -> Callable[[int], int]:
        def run(row: int) -> int:
            callers[name] += 1
            meeting.wait(SOON)
            return row

        return run

    with Flow(same, [session(name) for name in "abc"], same, queue=8) as flow:
        for row in range(6):
            flow.submit(row)
    assert sorted(outcome.value for outcome in flow) == list(range(6))
    assert callers == {"a": 2, "b": 2, "c": 2}


def test_a_newer_row_pushes_out_the_oldest_that_waits() -> None:
    flow, gate = held(queue=2)
    with flow:
        for row in range(1, 6):
            flow.submit(row)
            assert flow.waiting <= 2
        assert states(flow.take()) == [(1, "dropped"), (2, "dropped"), (3, "dropped")]
        gate.open()
    assert states(list(flow)) == [(0, "answered"), (4, "answered"), (5, "answered")]


def test_who_blocks_loses_no_row_and_the_queue_keeps_its_bound() -> None:
    flow: Flow
    most = 0

    def watching(row: int) -> int:
        nonlocal most
        most = max(most, flow.waiting)
        return row

    with Flow(watching, [same], same, queue=2) as flow:
        for row in range(50):
            flow.submit(row, block=True)
    assert Counter(outcome.state for outcome in flow) == {"answered": 50}
    assert most <= 2


def test_nothing_piles_up_behind_a_slow_step() -> None:
    """Answers stand still: the queue, and one row at and before each step, is all that is under way."""
    gate = Gate()
    with Flow(same, [same], gate, queue=2) as flow:
        flow.submit(0)
        assert gate.reached.wait(SOON)
        for row in range(1, 40):
            flow.submit(row)
            time.sleep(0.0002)
        told = flow.take()
        assert {outcome.state for outcome in told} == {"dropped"}
        # One in `after`; one before it and one in the session; one before that and one in `before`; two in the queue.
        assert 40 - len(told) <= 7
        gate.open()


def test_rows_whose_deadline_passed_before_a_session_are_late() -> None:
    clock = Clock()
    flow, gate = held(queue=8, deadline_ms=5, clock=clock)
    with flow:
        flow.submit(1)
        clock.now = 5 * MS
        flow.submit(2)
        clock.now = 5 * MS + 1
        gate.open()
    late, early, answered = sorted(flow, key=lambda outcome: outcome.number)
    assert (late.state, late.started_ns) == ("late", 0), "it was prepared when its time was up"
    assert (early.state, early.started_ns) == ("late", None), "it was not even prepared"
    assert (answered.state, answered.deadline_ns, answered.overdue) == ("answered", 10 * MS, False)


def test_at_its_deadline_a_row_is_not_late_and_an_answer_after_it_is_overdue() -> None:
    clock = Clock()

    def step(value: int) -> int:
        clock.now += value
        return value

    with Flow(step, [step], same, queue=2, deadline_ms=5, clock=clock) as flow:
        # Preparing takes all the time there is, and the inference as much again.
        flow.submit(5 * MS)
    (outcome,) = flow
    assert (outcome.state, outcome.latency_ns, outcome.overdue) == ("answered", 10 * MS, True)


def test_what_a_step_throws_is_its_rows_outcome_and_nobody_elses() -> None:
    def failing(own: int, error: BaseException) -> Callable[[int], int]:
        def step(row: int) -> int:
            if row == own:
                raise error
            return row

        return step

    errors = {1: ValueError("no text"), 2: RuntimeError("no memory"), 3: SystemExit(3)}
    before, run, after = (failing(row, error) for row, error in errors.items())
    with Flow(before, [run, run], after, queue=2) as flow:
        for row in range(6):
            flow.submit(row, block=True)
    outcomes = {outcome.number: outcome for outcome in flow}
    assert {number: outcome.error for number, outcome in outcomes.items() if outcome.error} == errors
    for number, outcome in outcomes.items():
        failed = number in errors
        assert (outcome.state, outcome.value) == (("failed", None) if failed else ("answered", number))
    assert len(outcomes) == 6


def test_closing_a_full_flow_finishes_what_waits() -> None:
    flow, gate = held(queue=3)
    for row in range(1, 4):
        flow.submit(row)
    closing = started(flow.close)
    gate.open()
    closing.join(SOON)
    assert not closing.is_alive()
    assert states(list(flow)) == [(row, "answered") for row in range(4)]
    flow.close()
    with pytest.raises(InputError, match="flow must be open to take a row, got a closed one\n    Try: submit before"):
        flow.submit(4)


def test_closing_a_full_flow_can_drop_what_waits() -> None:
    flow, gate = held(queue=3)
    for row in range(1, 4):
        flow.submit(row)
    closing = started(lambda: flow.close(finish=False))
    outcomes = iter(flow)
    assert states([next(outcomes) for _ in range(3)]) == [(row, "dropped") for row in range(1, 4)]
    gate.open()
    closing.join(SOON)
    assert states(list(outcomes)) == [(0, "answered")]


def test_an_exception_in_the_block_drops_what_waits() -> None:
    flow, gate = held(queue=3)
    with pytest.raises(KeyboardInterrupt), flow:
        flow.submit(1)
        opening = started(lambda: [next(iter(flow)), gate.open()])
        raise KeyboardInterrupt
    opening.join(SOON)
    assert states(flow.take()) == [(0, "answered")], "the dropped one is what the gate waited for"


def test_closing_wakes_who_waits_for_a_place() -> None:
    flow, gate = held(queue=1)
    flow.submit(1)
    refused: list[str] = []

    def submit() -> None:
        try:
            flow.submit(2, block=True)
        except InputError as error:
            refused.append(str(error))

    waiting = started(submit)
    closing = started(flow.close)
    waiting.join(SOON)
    gate.open()
    closing.join(SOON)
    assert len(refused) == 1
    assert states(list(flow)) == [(0, "answered"), (1, "answered")]


def test_no_row_is_lost_with_many_submitters_and_a_closer() -> None:
    submitted: list[int] = []
    flow = Flow(same, [same, same], same, queue=2)

    def submit(block: bool) -> None:
        try:
            while True:
                submitted.append(flow.submit(None, block=block))
        except InputError:
            pass

    submitters = [started(partial(submit, block)) for block in (True, False, False)]
    while len(submitted) < 100:
        time.sleep(0.001)
    closers = [started(partial(flow.close, finish=finish)) for finish in (True, False)]
    for thread in (*submitters, *closers):
        thread.join(SOON)
    assert sorted(outcome.number for outcome in flow) == sorted(submitted)


def test_outcomes_can_be_taken_as_they_come() -> None:
    flow, gate = held(queue=1)
    with flow:
        assert flow.take() == []
        gate.open()
        outcomes = iter(flow)
        assert next(outcomes).number == 0
        flow.submit(1)
        assert next(outcomes).number == 1
        assert flow.take() == []


def test_without_rows_there_are_no_outcomes() -> None:
    with Flow(same, [same], same, queue=1) as flow:
        assert flow.waiting == 0
    assert list(flow) == [] and flow.take() == []


def test_the_loop_has_the_same_steps_and_outcomes() -> None:
    clock = Clock()

    def run(value: int) -> float:
        clock.now += 3
        return 12 / value

    with Flow(same, [run, lambda value: pytest.fail("another session")], str, queue=1, clock=clock) as flow:
        first, broken, last = flow.loop([3, 0, 4])
    assert (first.value, first.arrival_ns, first.started_ns, first.finished_ns) == ("4.0", 0, 0, 3)
    assert broken.state == "failed" and isinstance(broken.error, ZeroDivisionError)
    assert (last.number, last.value, last.arrival_ns, last.latency_ns) == (2, "3.0", 6, 3)


def test_warming_up_runs_every_session_and_tells_nothing() -> None:
    seen: list[tuple[str, int]] = []
    runs = [lambda value: seen.append(("a", value)), lambda value: seen.append(("b", value))]
    with Flow(lambda row: row + 1, runs, same, queue=1) as flow:
        flow.warm_up(1)
    assert seen == [("a", 2), ("b", 2)] and list(flow) == []


def test_a_system_without_more_threads_gets_those_back_that_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start, left = threading.Thread.start, iter([True, True, False])

    def scarce(thread: threading.Thread) -> None:
        if not next(left):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Flow(same, [same, same], same, queue=1)


def test_a_flow_that_nobody_closed_does_not_keep_the_program() -> None:
    code = (
        "from edgesft.measure.flow import Flow, channel\n"
        "channel.LOOK_SECONDS = 0.01\n"
        "flow = Flow(lambda row: row, [lambda row: row], lambda row: print('answered', row), queue=2)\n"
        "flow.submit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "answered 1\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"before": None}, "before must be a function of one value, got None\n    Try: a function from a row to feeds"),
        ({"after": 3}, "after must be a function of one value, got 3"),
        ({"runs": []}, r"runs must be functions, one a session, got \[\]"),
        ({"runs": same}, "runs must be functions, one a session, got same\n    Try: a list of at least one"),
        ({"runs": [same, "b"]}, r"runs must be functions, one a session, got \[same, 'b'\]"),
        ({"queue": 0}, "queue must be a number of rows, 1 or more, got 0\n    Try: queue=1 for the newest"),
        ({"queue": 1.5}, "queue must be a number of rows, 1 or more, got 1.5"),
        ({"deadline_ms": 0}, "deadline_ms must be more than 0 milliseconds, got 0\n    Try: None for no deadline"),
        ({"deadline_ms": float("nan")}, "deadline_ms must be more than 0 milliseconds, got nan"),
        ({"deadline_ms": "5"}, "deadline_ms must be more than 0 milliseconds, got '5'"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"before": same, "runs": [same], "after": same, "queue": 1}
    with pytest.raises(InputError, match=message):
        Flow(**(given | changes))


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Flow(None, [], None, queue=0, deadline_ms=-1)  # type: ignore[arg-type]
    assert len(caught.value.problems) == 5
