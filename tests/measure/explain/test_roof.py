from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.explain.roof import CHAINED, COPIED, Roof, measure_roof
from edgesft.measure.replies import Loaded, Turn
from edgesft.spec.profile import ProviderSpec

CPU = [ProviderSpec(name="CPUExecutionProvider")]
NPU = [ProviderSpec(name="QNNExecutionProvider"), *CPU]
MACS = 256 * 1024 * 1024


class FakeAgent:
    """An agent that has made up its times: of each of the models in turn, or an error to load it."""

    def __init__(
        self,
        times: Mapping[str, list[int] | MeasureError],
        left: Mapping[str, dict[str, int]] | None = None,
        *,
        tells: bool = True,
    ) -> None:
        self.times, self.left, self.tells = times, left or {}, tells
        self.threads: set[int] = set()
        self.requests = 0
        self.closed = False

    def __enter__(self) -> FakeAgent:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed = True

    def info(self) -> dict[str, Any]:
        return {"machine": {"cache_bytes": 1234}}

    def load(self, model: Path, providers: Sequence[ProviderSpec], threads: int) -> Loaded:
        self.loaded = model.stem
        self.threads.add(threads)
        times = self.times[self.loaded]
        if isinstance(times, MeasureError):
            raise times
        return Loaded(1, None, None, self.left.get(self.loaded, {}) if self.tells else None, (), ())

    def request(self, feeds: Mapping[str, Any]) -> None:
        self.requests += 1

    def series(self, op: str, count: int, picks: list[int]) -> Turn:
        assert picks == [self.requests - 1] and op == "time"
        times = self.times[self.loaded]
        return Turn(tuple(times[index % len(times)] for index in range(count)))


def test_the_roof_of_this_machine() -> None:
    seen: list[tuple[int | None, int | None]] = []

    class Watched(Agent):
        def __exit__(self, *error: object) -> None:
            seen.append(self.memory())
            super().__exit__(None, None, None)

    started = time.monotonic()
    roof = measure_roof(CPU, 1, Watched)
    assert time.monotonic() - started < 10
    # Between a slow embedded core and a large server.
    assert 1e8 < (roof.fp32_macs_per_second or 0) < 1e13
    assert 1e8 < (roof.int8_macs_per_second or 0) < 1e14
    assert 1e8 < (roof.bytes_per_second or 0) < 1e13
    assert 10 < (roof.node_ns or 0) < 1e6
    assert 0 < (seen[0][0] or 0) < 300e6


def test_each_figure_is_the_best_run_of_its_model() -> None:
    agent = FakeAgent({"fp32": [9000, 8000, 7000], "int8": [2000], "copy": [4000], "chain": [400_000, 200_000]})
    roof = measure_roof(CPU, 3, lambda: agent)
    assert roof == Roof(
        fp32_macs_per_second=round(MACS / 7e-6),
        int8_macs_per_second=round(MACS / 2e-6),
        bytes_per_second=round(2 * 4 * COPIED / 4e-6),
        node_ns=200_000 // CHAINED,
        cache_bytes=1234,
    )
    assert agent.threads == {3} and agent.closed
    assert roof.peak("fp32") == roof.fp32_macs_per_second and roof.peak("fp16") is roof.peak(None) is None
    assert roof.to_json()["node_ns"] == 1000


def test_what_the_provider_cannot_run_has_no_figure() -> None:
    agent = FakeAgent({"fp32": [7000], "int8": MeasureError("no kernel"), "copy": [4000], "chain": [1000]})
    roof = measure_roof(CPU, 1, lambda: agent)
    assert roof.int8_macs_per_second is None and roof.bytes_per_second


def test_the_cpu_is_no_substitute() -> None:
    times = {"fp32": [7000], "int8": [2000], "copy": [4000], "chain": [1000]}
    roof = measure_roof(NPU, 1, lambda: FakeAgent(times, left={"int8": {"MatMulInteger": 1}, "copy": {"Gather": 1}}))
    assert roof.int8_macs_per_second is None
    assert roof.fp32_macs_per_second and roof.bytes_per_second
    # The CPU's cache is not this provider's.
    assert roof.cache_bytes is None
    assert measure_roof(NPU, 1, lambda: FakeAgent(times, tells=False)) == Roof(None, None, None, None)


def test_an_agent_that_does_not_start_is_an_error() -> None:
    def connect() -> Agent:
        raise MeasureError("cannot be started")

    with pytest.raises(MeasureError, match="cannot be started"):
        measure_roof(CPU, 1, connect)
