from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.budget.percentile import NEVER
from edgesft.errors import InputError
from edgesft.measure.driver import MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.measurement import Measurement
from edgesft.measure.pipelines import PipelineSource
from edgesft.measure.protocol import LEAD_IN, measure
from edgesft.measure.replies import Loaded, Turn, Value, Warmup
from edgesft.measure.subject import Subject
from edgesft.spec.profile import MeasureSpec
from tests.measure.models import profile, save_product

MS = 1_000_000
Log = list[tuple[str, int, tuple[int, ...]]]
REQUESTS = [{"x": np.full((1, 4), index, np.float32)} for index in range(50)]


class FakeAgent:
    """An agent whose latencies are scripted; a log shared by several tells who was timed when."""

    def __init__(self, latencies: Iterator[int], log: Log | None = None) -> None:
        self.latencies, self.log, self.model, self.held, self.closed = latencies, log, "", 0, False

    def __enter__(self) -> FakeAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True

    def info(self) -> dict[str, Any]:
        return {"runtime": "1.2.3", "providers": ["CPUExecutionProvider"], "machine": {"cores": 2}, "runtime_bytes": 9}

    def state(self) -> dict[str, Any]:
        return {"load": 0.5}

    def evict(self, files: Sequence[Path]) -> bool:
        return True

    def load(self, model: Path, providers: Sequence[Any], threads: int, **_: Any) -> Loaded:
        self.model = Path(model).stem
        value = Value("x", "float32", ("batch", "length"))
        return Loaded(70 * MS, {"CPUExecutionProvider": 9, "Other": 3}, 1, {"Gather": 3}, (value,), (value,))

    def request(self, feeds: Any) -> None:
        self.held += 1

    def first(self) -> int:
        return 30 * MS

    def warm_up(self, seconds: float) -> Warmup:
        return Warmup(10, True, next(self.latencies))

    def series(self, op: str, count: int, picks: Sequence[int], **more: int) -> Turn:
        if self.log is not None:
            self.log.append((self.model, count, tuple(picks)))
        taken = tuple(next(self.latencies) for _ in range(count))
        streams = more.get("streams")
        wall = {"wall_ns": sum(taken) // streams, "how": "sessions"} if streams else {}
        return Turn(taken, 1000 * count, {"service_ns": taken, **wall, **more})

    def memory(self) -> tuple[int, int]:
        return 200, 50


def connecting(*latencies: Iterator[int], log: Log | None = None) -> Callable[[Subject], Any]:
    """Starts fake agents one after another, one script each."""
    agents = iter([FakeAgent(script, log) for script in latencies])
    return lambda _: next(agents)


def measured(*arguments: Any, **options: Any) -> dict[str, Measurement]:
    """What was measured, where all could be."""
    found = measure(*arguments, **options)
    assert all(isinstance(each, Measurement) for each in found.values()), found
    return found  # type: ignore[return-value]


def subjects(names: str, requests: Sequence[Any] = REQUESTS) -> dict[str, Subject]:
    held = Requests(tuple(requests), "rows.npz")
    return {name: Subject(Path(f"{name}.onnx"), profile().providers, 1, held) for name in names}


SETTINGS = MeasureSpec(samples=100, seconds=1, rounds=10, max_seconds=60, warmup_seconds=1)


def test_rounds_are_interleaved_and_shuffled_with_the_same_requests() -> None:
    log: Log = []
    connect = connecting(repeat(10 * MS), repeat(5 * MS), repeat(MS), log=log)
    found = measured(subjects("abc"), SETTINGS, connect=connect, seed=3)
    timed = log[-2 * 3 * SETTINGS.rounds :]
    orders = set()
    for number in range(SETTINGS.rounds):
        turn = timed[6 * number : 6 * number + 6]
        leads, samples = turn[::2], turn[1::2]
        assert [lead[:2] for lead in leads] == [(sample[0], LEAD_IN) for sample in samples]
        assert sorted(sample[0] for sample in samples) == ["a", "b", "c"]
        assert len({sample[2] for sample in samples}) == 1 and len(samples[0][2]) == 10
        orders.add(tuple(sample[0] for sample in samples))
    assert len(orders) > 1
    assert list(found) == ["a", "b", "c"]
    assert {len(item.rounds) for item in found.values()} == {SETTINGS.rounds}
    assert all(sum(item.samples) >= 1e9 and len(item.samples) >= 100 for item in found.values())
    assert set(found["b"].samples) == {5 * MS}
    assert found["a"].inputs == "rows.npz, 50 distinct"

    again: Log = []
    connect = connecting(repeat(10 * MS), repeat(5 * MS), repeat(MS), log=again)
    measure(subjects("abc"), SETTINGS, connect=connect, seed=3)
    assert again == log


def test_a_model_that_becomes_slow_is_cut_off_after_a_whole_round() -> None:
    settings = MeasureSpec(samples=100, seconds=1, rounds=10, max_seconds=10, warmup_seconds=1)
    slowing = iter([10 * MS] * 100 + [900 * MS] * 10**4)
    connect = connecting(repeat(10 * MS), slowing)
    found = measured(subjects("ab"), settings, connect=connect)
    assert 1 <= len(found["a"].rounds) == len(found["b"].rounds) < settings.rounds
    assert sum(found["b"].samples) <= 20e9


def test_facts_of_the_measurement() -> None:
    connect = connecting(*[repeat(2 * MS)] * 5)
    found = measured(subjects("a"), SETTINGS, connect=connect, loads=5)["a"]
    assert found.loads_ns == (70 * MS,) * 5 and found.load_ns == 70 * MS
    assert found.firsts_ns == (30 * MS,) * 5 and found.first_ns == 30 * MS
    assert (found.peak_memory_bytes, found.baseline_memory_bytes) == (200, 50)
    assert (found.provider, found.threads, found.runtime) == ("CPUExecutionProvider", 1, "1.2.3")
    assert (found.share, found.left, found.energy_uj) == (0.75, {"Gather": 3}, 1000)
    assert (found.machine, found.runtime_bytes, found.conditions) == ({"cores": 2}, 9, ({"load": 0.5},) * 2)
    assert found.warmup_stable and found.steadiness.drift == 1 and found.steadiness.grade == "A"
    text = json.dumps(found.to_json())
    assert Measurement.from_json(json.loads(text)) == found
    assert json.loads(text)["warmup"] == {"samples": found.warmup_samples, "stable": True}
    assert all(isinstance(ns, int) for taken in json.loads(text)["rounds_ns"] for ns in taken)


def test_drift_is_seen() -> None:
    heating = (int(10 * MS * (1 + index / 500)) for index in range(10**4))
    found = measured(subjects("a"), SETTINGS, connect=connecting(heating))["a"]
    assert found.steadiness.drift > 1.08
    assert found.steadiness.grade in "BC" and "drifted" in found.steadiness.problems[0]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="requests of a must hold at least one"):
        measure(subjects("a", []), SETTINGS)
    with pytest.raises(InputError, match="models must name at least one"):
        measure({}, SETTINGS)


def test_one_that_dies_does_not_end_the_others() -> None:
    """The second one's script ends after 250 inferences, in the midst of the rounds."""

    def dying() -> Iterator[int]:
        yield from repeat(MS, 250)
        raise MeasureError("the measuring process died in 'time' (killed by signal 11)")

    found = measure(subjects("abc"), SETTINGS, connect=connecting(repeat(MS), dying(), repeat(MS)))
    assert isinstance(found["b"], MeasureError) and "signal 11" in str(found["b"])
    for name in "ac":
        assert isinstance(found[name], Measurement) and len(found[name].rounds) == SETTINGS.rounds


def test_one_that_cannot_start_does_not_end_the_others() -> None:
    agents = iter([FakeAgent(repeat(MS))])

    def connect(subject: Subject) -> Any:
        if subject.model.stem == "a":
            raise MeasureError("python must be an interpreter that starts")
        return next(agents)

    found = measure(subjects("ab"), SETTINGS, connect=connect)
    assert isinstance(found["a"], MeasureError) and isinstance(found["b"], Measurement)


def test_rounds_go_on_until_they_suffice_or_the_time_is_up() -> None:
    asked: list[int] = []

    def stop(rounds: Mapping[str, Any]) -> bool:
        asked.append(len(rounds["a"]))
        return asked[-1] == 3

    found = measured(subjects("ab"), SETTINGS, connect=connecting(repeat(MS), repeat(MS)), stop=stop)
    assert asked == [1, 2, 3] and len(found["a"].rounds) == len(found["b"].rounds) == 3
    found = measured(subjects("a"), SETTINGS, connect=connecting(repeat(MS)), stop=lambda _: False)
    assert 59e9 < sum(found["a"].samples) <= 60e9


def test_the_longest_time_is_that_of_the_clock() -> None:
    """A request of 1 ms every 10 ms takes 10 ms of it; four at once that take 4 ms each take 4 ms together."""
    for changes, latency, each in (
        ({"scenario": "paced", "interval_ms": 10.0}, MS, 10 * MS),
        ({"scenario": "multi-stream", "streams": 4}, 4 * MS, MS),
    ):
        settings = SETTINGS.model_copy(update=changes)
        found = measured(subjects("a"), settings, connect=connecting(repeat(latency)), stop=lambda _: False)
        assert 55e9 < len(found["a"].samples) * each <= 60e9


def test_lengths_are_those_of_each_samples_request() -> None:
    requests = [{"x": np.zeros((1, size), np.float32)} for size in (7, 3, 5)]
    log: Log = []
    found = measured(subjects("a", requests), SETTINGS, connect=connecting(repeat(MS), log=log))["a"]
    assert found.axis == "length" and found.lengths is not None and len(found.lengths) == len(found.samples)
    _, count, picks = log[1]
    assert found.lengths[:count] == tuple((3, 5, 7)[picks[i % len(picks)]] for i in range(count))
    same = measured(subjects("a"), SETTINGS, connect=connecting(repeat(MS)))["a"]
    assert same.axis is None and same.lengths is None


def test_paced_counts_missed_deadlines() -> None:
    settings = SETTINGS.model_copy(update={"scenario": "paced", "interval_ms": 10.0, "deadline_ms": 5.0})
    latencies = cycle([4 * MS, 4 * MS, 4 * MS, 6 * MS])
    found = measured(subjects("a"), settings, connect=connecting(latencies))["a"]
    assert found.scenario == "paced" and found.detail["requests"] == len(found.samples) == 100
    assert found.detail["missed"] == found.samples.count(6 * MS) > 20 and found.detail["deadline_ns"] == 5 * MS


def test_throughput_of_several_streams() -> None:
    settings = SETTINGS.model_copy(update={"scenario": "offline", "streams": 4})
    found = measured(subjects("a"), settings, connect=connecting(repeat(2 * MS)))["a"]
    assert found.detail["streams"] == 4 and found.detail["throughput"] == pytest.approx(2000)


class Overlapping(FakeAgent):
    """Loses the last rows of each round: one is dropped and two are late; alone each takes twice as long."""

    def pipeline(self, file: Path, folder: Path, options: Mapping[str, Any]) -> None:
        self.steps = (file, folder, options)

    def row(self, row: Any) -> None:
        self.held += 1

    def series(self, op: str, count: int, picks: Sequence[int], **more: int) -> Turn:
        turn = super().series(op, count, picks, **more)
        if op != "pipelined":
            return turn
        self.more = more
        alone = [2 * ns for ns in turn.ns]
        told = {"dropped": 1, "late": 2, "steady_ns": sum(turn.ns[:-3]), "wall_ns": sum(turn.ns)}
        return replace(turn, ns=turn.ns[:-3], detail={**told, "loop_ns": alone, "loop_wall_ns": sum(alone)})


def overlapping(
    latency: int, settings: MeasureSpec, stop: Callable[[Any], bool] | None = None
) -> tuple[Measurement, Overlapping]:
    """A measurement of rows through a pipeline."""
    source = PipelineSource(Path("steps.py"), Path(), {}, "steps.py")
    subject = replace(subjects("a")["a"], pipeline=source, rows=[*range(50)])
    agent = Overlapping(repeat(latency))
    return measured({"a": subject}, settings, connect=lambda _: agent, stop=stop)["a"], agent


def test_a_pipeline_tells_what_became_of_its_rows() -> None:
    changes = {"scenario": "pipeline", "streams": 3, "queue": 2, "deadline_ms": 9.0}
    found, agent = overlapping(10 * MS, SETTINGS.model_copy(update=changes))
    assert agent.more == {"streams": 3, "queue": 2, "deadline_ns": 9 * MS}
    told = found.detail["pipeline"]
    assert (told["rows"], told["answered"], told["dropped"], told["late"], told["overdue"]) == (100, 70, 10, 20, 70)
    assert told["throughput"] == pytest.approx(100) and told["throughputs"] == pytest.approx([100] * 10)
    assert told["loop_throughput"] == pytest.approx(50) and told["loop_p50_ns"] == 20 * MS
    assert told["speed_up"] == pytest.approx(2) and (told["sessions"], told["queue"]) == (3, 2)
    assert found.lost == (3,) * 10 and len(found.samples) == 70
    assert [taken[-3:] for taken in found.judged] == [(NEVER,) * 3] * 10
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_rows_at_a_fixed_rate_tell_nothing_of_how_many_a_second_could_be() -> None:
    found, agent = overlapping(MS, SETTINGS.model_copy(update={"scenario": "pipeline", "interval_ms": 10.0}))
    assert agent.more["interval_ns"] == 10 * MS and found.detail["pipeline"]["speed_up"] is None
    assert len(found.rounds) == 10 and len(found.rounds[0]) + found.lost[0] == 10, "a second at this rate"


def test_limits_look_at_rows_without_an_answer_and_the_loop_takes_time_too() -> None:
    seen: list[Any] = []

    def stop(rounds: Mapping[str, Any]) -> bool:
        seen.append(rounds["a"][-1])
        return False

    found, _ = overlapping(10 * MS, SETTINGS.model_copy(update={"scenario": "pipeline"}), stop)
    assert all(taken.count(NEVER) == 3 for taken in seen)
    rounds = len(found.rounds)
    assert 55e9 < rounds * 10 * (10 + 20) * MS <= 60e9, "ten rows a round, each of them also alone"


def test_raw_rows_are_counted_by_what_they_take() -> None:
    """An inference takes 1 ms, and a row 50."""
    latencies = chain(repeat(MS, 1), repeat(50 * MS))
    source = PipelineSource(Path("steps.py"), Path(), {}, "steps.py")
    subject = replace(subjects("a")["a"], pipeline=source, rows=[*range(50)])
    settings = MeasureSpec(samples=30, seconds=5, rounds=10, warmup_seconds=1, scenario="pipeline")
    found = measured({"a": subject}, settings, connect=lambda _: Overlapping(latencies))["a"]
    assert len(found.samples) + sum(found.lost) == 100, "five seconds of 50 ms"


def test_sustained_takes_one_model_after_the_other_a_minute_a_round() -> None:
    settings = SETTINGS.model_copy(update={"scenario": "sustained", "minutes": 3})
    log: Log = []
    # 100 ms a request in the first minutes, half as fast in the last.
    heating = chain(repeat(100 * MS, 1211), repeat(200 * MS))
    found = measured(subjects("ab"), settings, connect=connecting(heating, repeat(100 * MS), log=log))
    assert [entry[0] for entry in log] == ["a"] * 6 + ["b"] * 6
    minutes = found["a"].detail["minutes"]
    assert [minute["p50_ns"] for minute in minutes] == [100 * MS, 100 * MS, 200 * MS]
    assert all(sum(taken) >= 60e9 for taken in found["a"].rounds) and minutes[0]["load"] == 0.5
    assert found["a"].steadiness.drift == 2 and found["a"].steadiness.grade == "C"


def test_cold_loads_in_a_fresh_process_each_time() -> None:
    settings = SETTINGS.model_copy(update={"scenario": "cold"})
    started: list[FakeAgent] = []

    def connect(_: Subject) -> Any:
        started.append(FakeAgent(repeat(MS)))
        return started[-1]

    found = measured(subjects("a"), settings, connect=connect)["a"]
    assert len(started) == 1 + SETTINGS.rounds and all(agent.closed and agent.held == 1 for agent in started)
    assert set(found.samples) == {100 * MS} and found.detail["load_ns"] == [70 * MS] * SETTINGS.rounds


def test_real_models_of_different_cost(tmp_path: Path) -> None:
    small, large = save_product(tmp_path / "small.onnx"), save_product(tmp_path / "large.onnx", width=256, repeats=20)
    rows = Requests(({"x": np.zeros((1, 256), np.float32)},) * 3, "rows.npz")
    both = {name: Subject(path, profile().providers, 1, rows) for name, path in (("small", small), ("large", large))}
    found = measure(both, profile().measure)
    assert "could not do 'first'" in str(found["small"]) and isinstance(found["large"], Measurement)
    save_product(small, width=256)
    found = measured(both, profile().measure)
    assert len(found["small"].samples) >= 30 and len(found["small"].rounds) == 5
    assert sorted(found["small"].samples)[15] < sorted(found["large"].samples)[15]
    assert found["large"].placement == {"CPUExecutionProvider": 20} and found["large"].share == 1
    assert found["small"].peak_memory_bytes and found["small"].load_ns > 0


@pytest.mark.parametrize("scenario", ["single-stream", "paced", "multi-stream", "offline", "cold"])
def test_every_scenario_really_runs(tmp_path: Path, scenario: str) -> None:
    model = save_product(tmp_path / "m.onnx", width=64)
    rows = Requests(({"x": np.zeros((1, 64), np.float32)},), "rows.npz")
    settings = profile().measure.model_copy(update={"scenario": scenario, "interval_ms": 1.0})
    found = measured({"m": Subject(model, profile().providers, 1, rows)}, settings)["m"]
    assert found.scenario == scenario and len(found.rounds) == 5 and min(found.samples) > 0
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_where_inputs_lie_stands_beside_the_numbers(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    held = Requests(tuple(REQUESTS), "rows.npz")
    asked = {io: Subject(model, profile().providers, 1, held, io=io) for io in ("host", "device")}
    settings = MeasureSpec(samples=30, seconds=0.05, rounds=5, warmup_seconds=0.05)
    for io, found in measured(asked, settings).items():
        told = json.loads(json.dumps(found.to_json()))
        assert (found.io, told["io"], Measurement.from_json(told)) == (io, io, found)
    del told["io"]
    assert Measurement.from_json(told).io == "host", "what was measured before it was told"
