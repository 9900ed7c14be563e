"""Inputs and outputs that stay in a device's memory. The host's memory stands in for it: the code is the same."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.measure import agent
from tests.measure.models import save_product
from tests.measure.test_agent import MS, FakeBinding, FakeDevice, load, talk

GRAPH = [{"name": agent.CPU, "options": {"capture": "1"}}]
PLAIN = [{"name": agent.CPU, "options": {}}]


@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's provider as one that is asked to capture graphs, which it never does."""
    monkeypatch.setitem(agent.GRAPHS, agent.CPU, "capture")
    create = agent.create_session

    def without(model: Any, providers: list[dict[str, Any]], options: Any) -> Any:
        return create(model, [{**each, "options": {}} for each in providers], options)

    monkeypatch.setattr(agent.Agent.__init__, "__defaults__", (without, time.perf_counter_ns, time.sleep))


def save_sum(path: Path, *shape: int | str) -> Path:
    """`y = t = x + s`: a running sum where `t` is fed back into `s`."""
    from onnx import TensorProto, helper, save

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "s", "y", "t")]
    nodes = [helper.make_node("Add", ["x", "s"], ["y"]), helper.make_node("Add", ["x", "s"], ["t"])]
    graph = helper.make_graph(nodes, "sum", ends[:2], ends[2:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def feeds(size: int, value: float) -> dict[str, np.ndarray]:
    return {"x": np.full(size, value, np.float32), "s": np.zeros(size, np.float32)}


def loaded(model: Path, providers: list[dict[str, Any]], io: str = "device", **options: Any) -> agent.Agent:
    found = agent.Agent()
    assert found.load(str(model), providers, options.pop("threads", 1), io=io, **options)["io"] == io
    return found


class Session(FakeDevice):
    """One whose bindings take a while to copy, and whose device goes on after the call has returned."""

    def io_binding(self) -> FakeBinding:
        device, binding = self, FakeBinding()

        class Binding(FakeBinding):
            def bind_cpu_input(self, name: str, value: Any) -> None:
                device.now += MS
                super().bind_cpu_input(name, value)

            def synchronize_inputs(self) -> None:
                device.now += 10 * MS

            def synchronize_outputs(self) -> None:
                device.now += 100 * MS

        del binding
        return Binding()


@pytest.mark.parametrize(("io", "took"), [("host", 1001), ("device", 1100)])
def test_copies_count_where_they_are_asked_for(io: str, took: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the device it is the inference and the wait for its end; else the copying in is part of it."""
    device = Session(1000 * MS)
    measured = device.agent(5)
    measured.origin |= {"providers": [{"name": "CUDAExecutionProvider", "options": {}}], "io": io}
    assert measured.time(2, [0])["ns"] == [took * MS] * (2 if io == "host" else 2)


def test_states_and_sizes_are_right_in_the_devices_memory(tmp_path: Path) -> None:
    session = loaded(save_sum(tmp_path / "m.onnx", "n"), PLAIN).session
    summing = agent.Caller(session, {"s": "t"}, agent.CPU, agent.HOST_MEMORY)
    for number in range(1, 7):
        summing(feeds(2, number), time.perf_counter_ns)
        assert summing.states["s"].numpy().tolist() == [sum(range(number + 1))] * 2
    plain = agent.Caller(session, {}, agent.CPU, agent.HOST_MEMORY)
    for size in (3, 5, 5, 2, 3):
        plain(feeds(size, size), time.perf_counter_ns)
        assert plain.slots[0].binding.get_outputs()[0].numpy().tolist() == [size] * size
