"""Inputs and outputs that stay in a device's memory. The host's memory stands in for it: the code is the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.measure import agent
from tests.measure.models import save, save_product
from tests.measure.test_agent import MS, FakeBinding, FakeDevice

CUDA = "CUDAExecutionProvider"

Load = Callable[..., agent.Agent]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a model on the CPU; `capture` stands for an option that has it capture graphs, which it never does."""
    monkeypatch.setitem(agent.GRAPHS, agent.CPU, "capture")

    def create(model: Any, providers: list[dict[str, Any]], options: Any) -> Any:
        return agent.create_session(model, [{**each, "options": {}} for each in providers], options)

    def load(model: Path, io: str = "device", *, threads: int = 1, capture: bool = False) -> agent.Agent:
        found = agent.Agent(create)
        providers = [{"name": agent.CPU, "options": {"capture": "1"} if capture else {}}]
        assert found.load(str(model), providers, threads, io=io)["io"] == io
        return found

    return load


def save_sum(path: Path, *shape: int | str) -> Path:
    """`y` and `t` are `x + s`: a running sum where `t` is fed back into `s`."""
    nodes = [("Add", ["x", "s"], ["y"], {}), ("Add", ["x", "s"], ["t"], {})]
    ins, outs = ({name: ("float", shape) for name in names} for names in ("xs", "yt"))
    return save(path, nodes, ins, outs)


def feeds(size: int, value: float) -> dict[str, np.ndarray]:
    return {"x": np.full(size, value, np.float32), "s": np.zeros(size, np.float32)}


class Binding(FakeBinding):
    """A binding that takes 1 ms to copy an input, and whose device goes on for 100 ms after a call has returned."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self.device = device

    def bind_cpu_input(self, name: str, value: Any) -> None:
        self.device.now += MS
        super().bind_cpu_input(name, value)

    def synchronize_inputs(self) -> None:
        self.device.now += 10 * MS

    def synchronize_outputs(self) -> None:
        self.device.now += 100 * MS


@pytest.mark.parametrize(("io", "took"), [("host", 1001), ("device", 1100)])
def test_copies_are_timed_or_left_out(io: str, took: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device, what counts is the inference and the wait for its end; else the copying is part of it."""
    device = FakeDevice(1000 * MS)
    monkeypatch.setattr(device, "io_binding", lambda: Binding(device))
    measured = device.agent(5, 6)
    measured.origin |= {"providers": [{"name": CUDA, "options": {}}], "io": io}
    assert measured.time(3, [0, 1])["ns"] == [took * MS] * 3


def test_states_and_sizes_are_right_in_the_devices_memory(load: Load, tmp_path: Path) -> None:
    session = load(save_sum(tmp_path / "m.onnx", "n")).session
    summing = agent.Caller(session, {"s": "t"}, agent.CPU, agent.HOST_MEMORY)
    for number in range(1, 7):
        summing(feeds(2, number), time.perf_counter_ns)
        assert summing.states["s"].numpy().tolist() == [sum(range(number + 1))] * 2
    plain = agent.Caller(session, {}, agent.CPU, agent.HOST_MEMORY)
    for size in (3, 5, 5, 2, 3):
        plain(feeds(size, size), time.perf_counter_ns)
        assert plain.slots[0].binding.get_outputs()[0].numpy().tolist() == [size] * size


@pytest.mark.parametrize("io", ["host", "device"])
def test_a_graph_has_one_place_for_all_series(io: str, load: Load, tmp_path: Path) -> None:
    measured = load(save_sum(tmp_path / "m.onnx", 2), io, capture=True)
    measured.feedback({"s": "t"})
    measured.requests = [feeds(2, value) for value in (1, 10)]
    captured = measured.captured[measured.session]
    places = [value.data_ptr() for value in (*captured.inputs.values(), *captured.outputs.values())]
    assert len(set(places)) == 4
    for picks, sums in (([0], 3), ([0, 1], 12), ([1], 30)):
        assert len(measured.time(3, picks)["ns"]) == 3
        assert captured.answers()["y"].tolist() == [sums] * 2, "each series begins with the request's own state"
    found = measured.run({name: agent.encode(array) for name, array in feeds(2, 7).items()})["outputs"]
    assert agent.decode(found["t"]).tolist() == [7, 7]
    assert places == [value.data_ptr() for value in (*captured.inputs.values(), *captured.outputs.values())]


def test_copies_around_a_graph_are_timed_or_left_out(load: Load, tmp_path: Path) -> None:
    captured = load(save_sum(tmp_path / "m.onnx", 2), capture=True)
    held, now = captured.captured[captured.session], [0]
    steps = {"fill": MS, "run": 10 * MS, "carry": 100 * MS, "answers": 1000 * MS}
    for name, took in steps.items():
        setattr(held, name, lambda *_, took=took: now.__setitem__(0, now[0] + took))
    for stays, counted in ((True, 110), (False, 1111)):
        began, ended = agent.Repeater(held, {}, stays=stays)(feeds(2, 1), lambda: now[0])
        assert ended - began == counted * MS


@pytest.mark.parametrize("capture", [False, True])
def test_every_series_of_requests_is_taken(capture: bool, load: Load, tmp_path: Path) -> None:
    measured = load(save_sum(tmp_path / "m.onnx", 2), threads=2, capture=capture)
    measured.requests = [feeds(2, value) for value in (1, 2, 3)]
    assert measured.first()["ns"] > 0 and measured.warm_up(0.01)["samples"] > 0
    assert len(measured.paced(3, [0, 1], 100_000)["ns"]) == 3
    flight = measured.flight(5, [0, 1, 2], 2)
    assert len(flight["ns"]) == 5 and flight["how"] == "sessions", "each stream has a place of its own"
    assert {node["op"] for node in measured.profile(2)["nodes"]} == {"Add"}
    assert len(measured.captured) == (2 if capture else 0)


def test_a_stream_that_fails_ends_the_others(load: Load, tmp_path: Path) -> None:
    measured = load(save_sum(tmp_path / "m.onnx", 2), capture=True)
    measured.requests = [feeds(3, 1)]
    with pytest.raises(agent.Refusal, match=r"'x' must have the shape \[2\] that the graph takes, got \[3\]"):
        measured.flight(4, [0], 3)


def test_what_cannot_be_captured_is_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(agent.Refusal, match=r"got the free axes batch of 'x': rows of several lengths"):
        load(save_product(tmp_path / "free.onnx"), capture=True)
    texts = save(
        tmp_path / "text.onnx",
        [("Identity", ["x"], ["y"], {})],
        *({name: ("string", (2,))} for name in "xy"),
    )
    with pytest.raises(agent.Refusal, match="'x' must be numbers in the memory of cpu 0, got string"):
        load(texts, capture=True)
    measured = load(texts)
    measured.requests = [{"x": np.array(["a", "b"], object)}]
    with pytest.raises(agent.Refusal, match="io must be host for a model that takes text"):
        measured.time(1, [0])


@pytest.mark.parametrize("capture", [False, True])
def test_raw_rows_are_the_hosts(capture: bool, load: Load, tmp_path: Path) -> None:
    measured = load(save_sum(tmp_path / "m.onnx", 2), "host" if capture else "device", capture=capture)
    measured.rows = ["a"]
    for take in (lambda: measured.spans(1, [0]), lambda: measured.pipelined(1, [0], 1, 1)):
        with pytest.raises(agent.Refusal, match="raw rows are the host's"):
            take()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("as the model has control flow nodes which can't be supported by", r"it has control flow \(If, Loop, Scan\)"),
        (
            "as all compute graph nodes have not been partitioned to the",
            "some of its nodes are left to other providers",
        ),
    ],
)
def test_the_runtimes_refusal_to_capture_is_explained(said: str, why: str, tmp_path: Path) -> None:
    def create(*_: Any) -> Any:
        raise RuntimeError(f"This session cannot use the graph capture feature as requested by the user {said} {CUDA}")

    model = str(save_sum(tmp_path / "m.onnx", 2))
    for options, kind, words in (
        ({"enable_cuda_graph": "1"}, agent.Refusal, f"cannot capture this model as a graph: {why}"),
        ({"enable_cuda_graph": "0"}, RuntimeError, "This session cannot"),
    ):
        with pytest.raises(kind, match=words):
            agent.Agent(create).load(model, [{"name": CUDA, "options": options}], 1)


def test_memory_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    model = str(save_sum(tmp_path / "m.onnx", 2))
    for name, options, io, words in (
        ("QNNExecutionProvider", {}, "device", "QNNExecutionProvider offers no memory .* io must be host"),
        ("WebGpuExecutionProvider", {"enableGraphCapture": "1"}, "host", "does not tell when its work is over"),
        (agent.CPU, {}, "gpu", "io must be host or device, got 'gpu'"),
    ):
        with pytest.raises(agent.Refusal, match=words):
            agent.Agent().load(model, [{"name": name, "options": options}], 1, io=io)
    assert agent.memory_of({"name": "TensorrtExecutionProvider", "options": {"device_id": "1"}}) == ("cuda", 1)


def test_by_itself_it_says_where_inputs_lie(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", **feeds(2, 1))
    words = [str(save_sum(tmp_path / "m.onnx", 2)), "--inputs", str(tmp_path / "rows.npz"), "--io", "device"]
    options = agent.arguments().parse_args([*words, "--seconds", "0.01", "--warmup-seconds", "0.01"])
    told = {reply["op"]: reply for reply in agent.by_itself(options)}
    assert told["load"]["io"] == "device" and told["time"]["ns"]
