from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.measure.driver import Loaded, MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.measure.protocol import LEAD_IN, fitting, measure, schedule, warm_up
from edgesft.spec.profile import MeasureSpec
from tests.measure.models import profile, save_product

MS = 1_000_000
Log = list[tuple[str, int, int, int, int]]
REQUESTS = [{"x": np.full((1, 4), index, np.float32)} for index in range(50)]


class FakeAgent:
    """An agent whose latencies are scripted; a log shared by several tells who was timed when."""

    def __init__(self, latencies: Iterator[int], log: Log | None = None) -> None:
        self.latencies, self.log, self.model, self.held, self.closed = latencies, log, "", 0, False

    def __enter__(self) -> FakeAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def info(self) -> dict[str, Any]:
        return {"runtime": "1.2.3", "providers": ["CPUExecutionProvider"]}

    def load(self, model: Path, providers: Sequence[Any], threads: int) -> Loaded:
        self.model = Path(model).stem
        return Loaded(70 * MS, {"CPUExecutionProvider": 9, "Other": 3}, 1, ("x",), ("y",))

    def request(self, feeds: Any) -> None:
        self.held += 1

    def first(self) -> int:
        return 30 * MS

    def time(self, count: int, start: int, stride: int, window: int) -> tuple[int, ...]:
        if self.log is not None:
            self.log.append((self.model, count, start, stride, window))
        return tuple(next(self.latencies) for _ in range(count))

    def memory(self) -> tuple[int, int]:
        return 200, 50


def connecting(*latencies: Iterator[int], log: Log | None = None) -> Callable[[], Any]:
    """Starts fake agents one after another, one script each."""
    agents = iter([FakeAgent(script, log) for script in latencies])
    return lambda: next(agents)


SETTINGS = MeasureSpec(samples=100, seconds=1, rounds=10, max_seconds=60, warmup_seconds=1)


def test_warm_up_ends_when_the_median_is_stable() -> None:
    falling = (max(5 * MS, 10 * MS - index * MS // 8) for index in range(10**4))
    found = warm_up(FakeAgent(falling), 50, SETTINGS)
    assert found.stable and found.typical_ns == 5 * MS
    assert 40 < found.samples < 100
    early = warm_up(FakeAgent(repeat(5 * MS)), 50, SETTINGS)
    assert early.stable and early.samples < found.samples


def test_warm_up_that_never_settles_ends_at_its_limit() -> None:
    restless = (MS * (10 + (index // 7) % 5) for index in range(10**6))
    found = warm_up(FakeAgent(restless), 50, SETTINGS)
    assert not found.stable
    assert 0.9e9 < found.samples * 12 * MS < 1.5e9


def test_warm_up_times_the_same_requests_in_each_block() -> None:
    log: Log = []
    warm_up(FakeAgent(repeat(5 * MS), log), 50, SETTINGS)
    assert {entry[2:] for entry in log[1:]} == {(0, 50 // log[1][1], log[1][1])}


def test_schedule_reaches_samples_and_seconds_with_one_mixture() -> None:
    plan = schedule([20 * MS, 7 * MS, 1 * MS], 50, SETTINGS)
    assert plan.window == 10
    for count, typical in zip(plan.counts, (20 * MS, 7 * MS, MS), strict=True):
        assert count % plan.window == 0
        assert count * SETTINGS.rounds >= SETTINGS.samples
        assert count * SETTINGS.rounds * typical >= SETTINGS.seconds * 1e9


def test_schedule_stays_within_the_longest_time() -> None:
    short = MeasureSpec(samples=1000, seconds=10, rounds=10, max_seconds=20, warmup_seconds=1)
    plan = schedule([100 * MS, 1 * MS], 50, short)
    assert plan.window == 20
    assert plan.counts[0] * 10 * 100 * MS <= 20e9
    assert plan.counts[1] * 10 * MS >= 10e9
    assert schedule([60_000 * MS], 50, short).counts == (1,)


def test_each_round_mixes_sizes_alike_and_together_they_use_many_requests() -> None:
    """300 requests by size, 15 a round: the sizes of any two rounds differ by less than one stride."""
    plan = schedule([25 * MS], 300, MeasureSpec(samples=300, seconds=5, rounds=20))
    assert (plan.window, plan.stride, plan.step) == (15, 20, 1)
    assert plan.distinct(20, 300) == 300
    large = schedule([25 * MS], 6000, MeasureSpec(samples=300, seconds=5, rounds=20))
    assert large.distinct(20, 6000) == 300 and large.step * 19 < large.stride
    assert schedule([25 * MS], 4, SETTINGS).distinct(20, 4) == 4


def test_rounds_are_interleaved_and_shuffled_with_the_same_requests() -> None:
    log: Log = []
    connect = connecting(repeat(10 * MS), repeat(5 * MS), repeat(MS), log=log)
    models = {name: Path(f"{name}.onnx") for name in "abc"}
    found = measure(models, REQUESTS, profile(), settings=SETTINGS, connect=connect, seed=3)
    timed = log[-2 * 3 * SETTINGS.rounds :]
    orders = set()
    for number in range(SETTINGS.rounds):
        turn = timed[6 * number : 6 * number + 6]
        leads, samples = turn[::2], turn[1::2]
        assert [lead[:2] for lead in leads] == [(sample[0], LEAD_IN) for sample in samples]
        assert sorted(sample[0] for sample in samples) == ["a", "b", "c"]
        assert {sample[2:] for sample in samples} == {(number, 5, 10)}
        orders.add(tuple(sample[0] for sample in samples))
    assert len(orders) > 1
    assert list(found) == ["a", "b", "c"]
    assert {len(item.rounds) for item in found.values()} == {SETTINGS.rounds}
    assert all(sum(item.samples) >= 1e9 and len(item.samples) >= 100 for item in found.values())
    assert set(found["b"].samples) == {5 * MS}
    assert found["a"].inputs == "real rows, 50 distinct"

    again: Log = []
    connect = connecting(repeat(10 * MS), repeat(5 * MS), repeat(MS), log=again)
    measure(models, REQUESTS, profile(), settings=SETTINGS, connect=connect, seed=3)
    assert again == log


def test_a_model_that_becomes_slow_is_cut_off_after_a_whole_round() -> None:
    settings = MeasureSpec(samples=100, seconds=1, rounds=10, max_seconds=10, warmup_seconds=1)
    slowing = iter([10 * MS] * 100 + [900 * MS] * 10**4)
    connect = connecting(repeat(10 * MS), slowing)
    found = measure({"a": Path("a"), "b": Path("b")}, REQUESTS, profile(), settings=settings, connect=connect)
    assert 1 <= len(found["a"].rounds) == len(found["b"].rounds) < settings.rounds
    assert sum(found["b"].samples) <= 20e9


def test_facts_of_the_measurement() -> None:
    connect = connecting(*[repeat(2 * MS)] * 5)
    found = measure({"a": Path("a")}, REQUESTS, profile(), settings=SETTINGS, connect=connect, loads=5)["a"]
    assert found.loads_ns == (70 * MS,) * 5 and found.load_ns == 70 * MS
    assert found.firsts_ns == (30 * MS,) * 5 and found.first_ns == 30 * MS
    assert (found.peak_memory_bytes, found.baseline_memory_bytes) == (200, 50)
    assert (found.provider, found.threads, found.runtime) == ("CPUExecutionProvider", 1, "1.2.3")
    assert found.share == 0.75
    assert found.warmup_stable and found.drift == 1 and found.grade == "A"
    text = json.dumps(found.to_json())
    assert Measurement.from_json(json.loads(text)) == found
    assert json.loads(text)["warmup"] == {"samples": found.warmup_samples, "stable": True}
    assert all(isinstance(ns, int) for taken in json.loads(text)["rounds_ns"] for ns in taken)


def test_drift_is_seen() -> None:
    heating = (int(10 * MS * (1 + index / 500)) for index in range(10**4))
    found = measure({"a": Path("a")}, REQUESTS, profile(), settings=SETTINGS, connect=connecting(heating))["a"]
    assert found.drift > 1.08
    assert found.grade in "BC"


def test_requests_that_would_pass_for_the_models_memory_are_thinned() -> None:
    picked = fitting(REQUESTS, 10 * 16)
    assert len(picked) == 10
    assert [int(feeds["x"][0, 0]) for feeds in picked] == list(range(0, 50, 5))
    assert fitting(REQUESTS, 1) == REQUESTS[:1]
    assert len(fitting(REQUESTS)) == 50
    sizes = [{"x": np.zeros(size, np.uint8)} for size in (3, 1, 2)]
    assert [feeds["x"].size for feeds in fitting(sizes)] == [1, 2, 3]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="requests must hold at least one"):
        measure({"a": Path("a")}, [], profile())
    with pytest.raises(InputError, match="models must name at least one"):
        measure({}, REQUESTS, profile())


def test_real_models_of_different_cost(tmp_path: Path) -> None:
    small, large = save_product(tmp_path / "small.onnx"), save_product(tmp_path / "large.onnx", width=256, repeats=20)
    rows = [{"x": np.zeros((1, 256), np.float32)}] * 3
    with pytest.raises(MeasureError, match="could not do 'first'"):
        measure({"small": small}, rows, profile())
    small = save_product(tmp_path / "small.onnx", width=256)
    found = measure({"small": small, "large": large}, rows, profile())
    assert len(found["small"].samples) >= 30 and len(found["small"].rounds) == 5
    assert sorted(found["small"].samples)[15] < sorted(found["large"].samples)[15]
    assert found["large"].placement == {"CPUExecutionProvider": 20} and found["large"].share == 1
    assert found["small"].peak_memory_bytes and found["small"].load_ns > 0
