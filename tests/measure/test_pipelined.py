"""The agent's operation `pipelined`: rows whose steps overlap, on threads that events hold back and not the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgesft.measure import agent
from tests.measure.models import save_product

MS = 1_000_000
SOON = 20
"""Seconds after which what has not happened never will."""


class Session:
    """Gives back what it is fed."""

    def __init__(self, run: Callable[[Any], Any] = lambda value: value) -> None:
        self.does, self.fallback = run, True

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="y")]

    def disable_fallback(self) -> None:
        self.fallback = False

    def run(self, names: list[str], feeds: Any) -> list[Any]:
        return [self.does(feeds["x"])]


def alone() -> bool:
    """Whether this is the loop, which the agent's own thread does."""
    return threading.current_thread() is threading.main_thread()


class Steps:
    """Keeps what it has answered in the pipeline."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def before(self, row: Any) -> dict[str, Any]:
        return {"x": row}

    def after(self, outputs: dict[str, Any]) -> None:
        if not alone():
            self.answers.append(outputs["y"])


def measured(monkeypatch: pytest.MonkeyPatch, rows: int, session: Session, **options: Any) -> agent.Agent:
    found = agent.Agent(lambda *_: Session(session.does), **options)
    monkeypatch.setattr(found, "_options", lambda: None)
    found.session, found.origin, found.steps = (
        session,
        {"model": "m", "providers": [{"name": agent.CPU, "options": {}}], "io": "host"},
        Steps(),
    )
    for row in range(rows):
        found.row(row)
    return found


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_every_row_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    device = measured(monkeypatch, 5, Session())
    found = device.pipelined(40, [4, 2, 0], 3, 2)
    edge = 2 + 3 * 3 + 2
    assert sorted(device.steps.answers) == sorted([4, 2, 0][number % 3] for number in range(-edge, 40 + edge))
    assert (len(found["ns"]), len(found["loop_ns"]), found["dropped"], found["late"]) == (40, 40, 0, 0)
    assert 0 < min(found["ns"]) <= max(found["ns"]) <= found["wall_ns"] and 0 < found["steady_ns"] < found["wall_ns"]
    assert sum(found["loop_ns"]) == found["loop_wall_ns"]
    assert len(device.others) == 2 and not any(other.fallback for other in device.others)
    device.pipelined(1, [0], 2, 1)
    assert len(device.others) == 2, "sessions of an earlier series are used again"


def test_sessions_and_steps_are_at_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread waits for the three others with a row of its own: one after another they would wait for ever."""
    meeting = threading.Barrier(4)

    def meet(row: int, *ours: int) -> int:
        if not alone() and row in ours:
            meeting.wait(SOON)
        return row

    class Meeting(Steps):
        def before(self, row: int) -> dict[str, int]:
            return {"x": meet(row, 3)}

        def after(self, outputs: dict[str, int]) -> None:
            meet(outputs["y"], 0)

    device = measured(monkeypatch, 4, Session(lambda row: meet(row, 1, 2)))
    device.steps = Meeting()
    assert len(device.pipelined(4, [*range(4)], 2, 4)["ns"]) == 4


class Stage(Steps):
    """Rows come every millisecond of a clock that only sleeping moves, each when those before it are answered.

    The first step stands with the row number 3, which is the 11th after the 7 that lead in, until all rows have come.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.now, self.came, self.begun, self.standing = 1, 0, 0, False
        self.changed, self.all_came = threading.Condition(), threading.Event()
        put, leave = agent.Line.put, agent.Line.leave

        def putting(line: agent.Line, item: Any, wait: bool = True) -> Any:
            self.came += alone()
            return put(line, item, wait)

        def leaving(line: agent.Line) -> None:
            if alone():
                self.all_came.set()
            leave(line)

        monkeypatch.setattr(agent.Line, "put", putting)
        monkeypatch.setattr(agent.Line, "leave", leaving)

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.standing or len(self.answers) == self.came, SOON)
        self.now += round(seconds * 1e9) or agent.SPIN_NS

    def before(self, row: Any) -> dict[str, Any]:
        self.begun += not alone()
        if self.begun == 11 and not alone():
            with self.changed:
                self.standing = True
                self.changed.notify_all()
            assert self.all_came.wait(SOON)
        return super().before(row)

    def after(self, outputs: dict[str, Any]) -> None:
        with self.changed:
            super().after(outputs)
            self.changed.notify_all()


@pytest.mark.parametrize(
    ("deadline_ns", "late", "ns", "steady_ns"),
    [(None, 0, [0, 0, 0, 12 * MS], 16 * MS), (3 * MS, 1, [0, 0, 0], 3 * MS)],
    ids=["patient", "with a deadline"],
)
def test_the_oldest_are_dropped_and_the_late_given_up(
    deadline_ns: int | None, late: int, ns: list[int], steady_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(monkeypatch)
    device = measured(monkeypatch, 9, Session(), clock=stage.clock, sleep=stage.sleep)
    device.steps = stage
    found = device.pipelined(9, [*range(9)], 1, 2, interval_ns=MS, deadline_ns=deadline_ns)
    assert (found["dropped"], found["late"], found["ns"]) == (5, late, ns)
    assert found["steady_ns"] == steady_ns and found["wall_ns"] == 22 * MS
    numbers = [*range(-7, 3), *([] if late else [3]), 14, 15]
    assert stage.answers == [number % 9 for number in numbers]


def test_rows_at_the_edges_are_not_counted() -> None:
    """Number 1 overtakes number 0, 2 is dropped, and those from 3 on only follow."""
    fates = agent.Fates()
    fates.arrived = {number: 100 * number for number in range(-2, 6)}
    fates.ended = {-2: 10, -1: 20, 1: 130, 0: 150, 3: 330, 4: 430}
    fates.dropped, fates.late = [2, 5], [-3, 6]
    assert fates.told(3) == {"ns": [150, 30], "steady_ns": 130, "dropped": 1, "late": 0}
    fates.ended = {1: 160}
    assert fates.told(3) == {"ns": [60], "steady_ns": 160, "dropped": 1, "late": 0}, "from the first arrival on"
    fates.ended = {}
    assert fates.told(3) == {"ns": [], "steady_ns": 0, "dropped": 1, "late": 0}


def test_the_energy_is_that_of_the_rows_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([[(1000, 10**6)], [(4000, 10**6)]])
    monkeypatch.setattr(agent, "energy_counters", lambda: next(readings))
    found = measured(monkeypatch, 1, Session()).pipelined(6, [0], 1, 1)
    assert found["energy_uj"] == 1000, "six rows lead in and six follow"


@pytest.mark.parametrize("step", ["before", "run", "after"])
def test_a_row_that_fails_ends_the_series_with_its_reason(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def failing(name: str) -> Callable[[Any], Any]:
        def work(value: Any) -> Any:
            if name == step and not alone():
                raise ValueError(f"{name} has no text")
            return value

        return work

    device = measured(monkeypatch, 3, Session(failing("run")))
    device.steps = SimpleNamespace(before=lambda row: {"x": failing("before")(row)}, after=failing("after"))
    for interval_ns in (None, 1000):
        with pytest.raises(ValueError, match=f"{step} has no text"):
            device.pipelined(50, [0, 1, 2], 2, 1, interval_ns=interval_ns)


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    device = measured(monkeypatch, 1, Session())
    with pytest.raises(agent.Refusal, match="streams and queue must be 1 or more, got 0 and 1"):
        device.pipelined(1, [0], 0, 1)
    with pytest.raises(agent.Refusal, match="picks must be numbers of the 1 requests"):
        device.pipelined(1, [1], 1, 1)
    device.states = {"h": "hn"}
    with pytest.raises(agent.Refusal, match="steps cannot overlap"):
        device.pipelined(1, [0], 1, 1)
    with pytest.raises(agent.Refusal, match="no model is loaded"):
        agent.Agent().pipelined(1, [0], 1, 1)


def test_a_line_keeps_its_size() -> None:
    line = agent.Line(2)
    assert [line.put(item, wait=False) for item in range(4)] == [None, None, 0, 1]
    line.leave()
    assert list(line) == [2, 3]


def test_on_a_real_model(tmp_path: Path) -> None:
    pipeline = tmp_path / "steps.py"
    pipeline.write_text(
        "import numpy as np\n"
        "class Pipeline:\n"
        "    def __init__(self, folder, options): pass\n"
        "    def before(self, row): return {'x': np.full((1, 4), row, np.float32)}\n"
        "    def after(self, outputs): assert outputs['y'].shape == (1, 4)\n"
    )
    device = agent.Agent()
    device.load(str(save_product(tmp_path / "m.onnx")), [{"name": agent.CPU, "options": {}}], 1)
    device.pipeline(str(pipeline), str(tmp_path), {})
    for row in (1, 2):
        device.row(row)
    found = device.pipelined(30, [0, 1], 2, 2)
    assert len(found["ns"]) == len(found["loop_ns"]) == 30 and min(found["ns"]) > 0
    paced = device.pipelined(10, [0, 1], 1, 1, interval_ns=MS, deadline_ns=1000 * MS)
    assert len(paced["ns"]) + paced["dropped"] + paced["late"] == 10 and paced["wall_ns"] >= 21 * MS
