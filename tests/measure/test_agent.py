from __future__ import annotations

import ast
import hashlib
import itertools
import json
import os
import platform
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesft.measure import agent
from tests.measure.models import save_product


def talk(lines: list[Any]) -> tuple[list[dict[str, Any]], str]:
    """Answers of a fresh agent process to these requests, and its standard error."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = subprocess.run(
        [sys.executable, agent.__file__], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def load(model: Path, provider: str = "CPUExecutionProvider") -> dict[str, Any]:
    return {"op": "load", "model": str(model), "providers": [{"name": provider, "options": {}}], "threads": 1}


def test_imports_nothing_that_another_interpreter_may_lack() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "onnxruntime"}
    for node in ast.walk(ast.parse(Path(agent.__file__).read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= allowed


def test_every_operation_is_documented() -> None:
    """In the file itself, which travels alone, and in the document for other languages."""
    document = (Path(__file__).parents[2] / "export/PROTOCOL.md").read_text("utf-8")
    for op in agent.OPERATIONS:
        assert f"\n{op} " in (agent.__doc__ or ""), op
        assert f"| `{op}` |" in document, op
    for line in document.split("```")[1].strip().splitlines():
        assert json.loads(line)["op"] in agent.OPERATIONS
    described = json.loads(document.split("```")[1].strip().splitlines()[0])["machine"]
    assert set(described) == set(agent.machine())


def test_a_whole_conversation(tmp_path: Path) -> None:
    feeds = {"x": agent.encode(np.arange(8, dtype=np.float32).reshape(2, 4))}
    answers, _ = talk(
        [
            {"op": "info"},
            load(save_product(tmp_path / "m.onnx", repeats=3)),
            {"op": "request", "feeds": feeds},
            {"op": "first"},
            {"op": "time", "count": 4, "picks": [0]},
            {"op": "run", "feeds": feeds},
            {"op": "memory"},
            {"op": "quit"},
            {"op": "info"},
        ]
    )
    assert len(answers) == 8, "nothing is answered after quit"
    info, loaded, request, first, timed, run, memory, quit_ = answers
    assert "CPUExecutionProvider" in info["providers"] and info["runtime"]
    assert loaded["load_ns"] > 0
    assert loaded["placement"] == {"CPUExecutionProvider": 3}
    assert (loaded["partitions"], loaded["left"]) == (1, {})
    assert loaded["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", 4]}]
    assert request == {"op": "request", "count": 1}
    assert isinstance(first["ns"], int) and first["ns"] > 0
    assert len(timed["ns"]) == 4 and all(isinstance(ns, int) and ns > 0 for ns in timed["ns"])
    assert run == {"op": "run", "outputs": {"y": feeds["x"]}}
    assert memory["peak_bytes"] > memory["baseline_bytes"] > 10**6
    assert quit_ == {"op": "quit"}
    assert info["protocol"] == agent.PROTOCOL and info["runtime_bytes"] > 10**6 and info["machine"]["architecture"]


def test_failures_are_answers(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    answers, stderr = talk(
        [
            "no json",
            {"op": "dance"},
            {"op": "time", "count": 1, "picks": [0]},
            load(tmp_path / "missing.onnx"),
            load(tmp_path / "broken.onnx"),
            load(model, "CUDAExecutionProvider"),
            load(model),
            {"op": "time", "count": 1, "picks": [0]},
            {"op": "run", "feeds": {"z": agent.encode(np.zeros(4, np.float32))}},
            {"op": "run", "feeds": {"x": agent.encode(np.zeros((1, 4), np.float32))}},
        ]
    )
    errors = [answer.get("error", "") for answer in answers]
    expected = [
        "JSONDecodeError",
        "op must be one of info, state",
        "no model is loaded",
        "model must be a file",
        "INVALID_PROTOBUF|InvalidProtobuf",
        "provider CUDAExecutionProvider is not in this onnxruntime",
        "",
        "there is no request to time",
        "x",
        "",
    ]
    for error, words in zip(errors, expected, strict=True):
        assert any(word in error for word in words.split("|")), error
        assert bool(error) == bool(words)
    assert "Traceback" not in stderr


def test_a_session_that_fell_back_is_refused() -> None:
    class FellBack:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    with pytest.raises(agent.Refusal, match="QNNExecutionProvider did not start, or took no node"):
        agent.placed(FellBack(), "QNNExecutionProvider")


def test_a_provider_without_a_node_is_refused_and_partitions_are_counted() -> None:
    class Subgraph:
        def __init__(self, ep_name: str, nodes: int) -> None:
            self.ep_name, self._nodes = ep_name, nodes

        def get_nodes(self) -> list[Any]:
            return [SimpleNamespace(op_type="Gather")] * self._nodes

    class Session:
        def get_providers(self) -> list[str]:
            return ["QNNExecutionProvider", "CPUExecutionProvider"]

        def get_provider_graph_assignment_info(self) -> list[Subgraph]:
            return self.subgraphs

        subgraphs = [Subgraph("QNNExecutionProvider", 5), Subgraph("CPUExecutionProvider", 1)]

    session = Session()
    session.subgraphs = session.subgraphs + [Subgraph("QNNExecutionProvider", 2)]
    assert agent.placed(session, "QNNExecutionProvider") == {
        "placement": {"QNNExecutionProvider": 7, "CPUExecutionProvider": 1},
        "partitions": 2,
        "left": {"Gather": 1},
    }
    session.subgraphs = [Subgraph("CPUExecutionProvider", 8)]
    with pytest.raises(agent.Refusal, match="no node was placed on QNNExecutionProvider; all are on CPU"):
        agent.placed(session, "QNNExecutionProvider")
    allowed = agent.placed(session, "QNNExecutionProvider", allow_cpu=True)
    assert (allowed["placement"], allowed["partitions"]) == ({"CPUExecutionProvider": 8}, 0)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([[1.5, -2.25]], dtype=np.float16),
        np.array(3, dtype=np.uint8),
        np.zeros((0, 4), dtype=np.float32),
        np.array([True, False]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array([["a", "ü"]], dtype=object),
    ],
)
def test_arrays_survive_json(array: np.ndarray) -> None:
    back = agent.decode(json.loads(json.dumps(agent.encode(array))))
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array)


def test_outputs_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(agent.Refusal, match="must be a tensor, got list"):
        agent.encode([{"a": 1.0}])


class FakeDevice:
    """A clock, and sessions whose inferences take what a script says; sleeping and running move the clock."""

    def __init__(self, *durations: int) -> None:
        self.now, self.durations, self.seen = 0, itertools.cycle(durations), list[Any]()
        self.inputs, self.outputs = ("x",), ("y",)

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        # A thread never wakes on time.
        self.now += round(seconds * 1e9) + 70_000

    def create(self, *_: Any) -> FakeDevice:
        return self

    def agent(self, *requests: int, threads: int = 1) -> agent.Agent:
        measured = agent.Agent(self.create, self.clock, self.sleep)
        measured.session = self
        measured.origin = {"providers": [{"name": agent.CPU, "options": {}}], "threads": threads, "io": "host"}
        measured.requests = [{"x": np.array(value)} for value in requests]
        return measured

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name=name, type="tensor(float)") for name in self.inputs]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name=name, shape=[]) for name in self.outputs]

    def io_binding(self) -> FakeBinding:
        return FakeBinding()

    def run_with_iobinding(self, binding: FakeBinding) -> None:
        self.seen.append({name: int(value) for name, value in binding.fed.items()})
        self.now += next(self.durations)
        binding.made = [FakeValue(sum(self.seen[-1].values()) + 1) for _ in self.outputs]


class FakeValue(int):
    def shape(self) -> list[int]:
        return []


class FakeBinding:
    def __init__(self) -> None:
        self.fed: dict[str, Any] = {}
        self.made: list[Any] = []

    def bind_cpu_input(self, name: str, value: Any) -> None:
        self.fed[name] = value

    bind_ortvalue_input = bind_cpu_input

    def clear_binding_outputs(self) -> None:
        self.made = []

    def bind_output(self, name: str, *memory: Any) -> None:
        pass

    def bind_ortvalue_output(self, name: str, value: Any) -> None:
        pass

    def get_outputs(self) -> list[Any]:
        return self.made


MS = 1_000_000


def test_outputs_may_change_their_size_with_the_data(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [4]),
        helper.make_tensor_value_info("y", TensorProto.INT64, [1, "found"]),
    ]
    graph = helper.make_graph([helper.make_node("NonZero", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    measured = agent.Agent()
    measured.load(str(tmp_path / "model.onnx"), [{"name": agent.CPU, "options": {}}], 1)
    measured.requests = [{"x": np.array(x, np.float32)} for x in ([0, 0, 1, 0], [1, 1, 1, 1])]
    assert len(measured.time(4, [0, 1])["ns"]) == 4


def test_time_takes_the_picked_requests_in_turn() -> None:
    device = FakeDevice(MS, 2 * MS)
    measured = device.agent(0, 1, 2, 3, 4)
    assert measured.time(7, [3, 0, 2])["ns"] == [MS, 2 * MS, MS, 2 * MS, MS, 2 * MS, MS]
    assert [fed["x"] for fed in device.seen] == [3, 0, 2, 3, 0, 2, 3]
    measured.first()
    assert device.seen[-1] == {"x": 2}


def test_states_are_fed_back_and_each_series_begins_anew() -> None:
    device = FakeDevice(MS)
    device.inputs, device.outputs = ("x", "state"), ("y", "after")
    measured = device.agent(5)
    measured.requests[0]["state"] = np.array(100)
    assert measured.feedback({"state": "after"}) == {"count": 1, "states": {"state": "after"}}
    for _ in range(2):
        measured.time(3, [0])
    assert [fed["state"] for fed in device.seen] == [100, 106, 112] * 2
    with pytest.raises(agent.Refusal, match="picks must be numbers of the 1 requests, got \\[1\\]"):
        measured.time(1, [1])
    with pytest.raises(agent.Refusal, match="must map inputs to outputs of the model, got state=nowhere"):
        measured.feedback({"state": "nowhere"})


def test_states_and_sizes_are_right_on_a_real_session(tmp_path: Path) -> None:
    """A running sum, whose state is written beside the one that is read; then requests of different sizes."""
    from onnx import TensorProto, helper, save

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "s", "y", "t")]
    nodes = [helper.make_node("Add", ["x", "s"], ["y"]), helper.make_node("Add", ["x", "s"], ["t"])]
    graph = helper.make_graph(nodes, "sum", ends[:2], ends[2:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m.onnx")
    measured = agent.Agent()
    measured.load(str(tmp_path / "m.onnx"), [{"name": agent.CPU, "options": {}}], 1)

    def feeds(size: int, value: float) -> dict[str, np.ndarray]:
        return {"x": np.full(size, value, np.float32), "s": np.zeros(size, np.float32)}

    summing = agent.Caller(measured.session, {"s": "t"}, agent.CPU)
    for number in range(1, 7):
        summing(feeds(2, number), time.perf_counter_ns)
        assert summing.states["s"].numpy().tolist() == [sum(range(number + 1))] * 2
    plain = agent.Caller(measured.session, {}, agent.CPU)
    for size in (3, 5, 5, 2, 3):
        request = feeds(size, size)
        for _ in range(2):
            plain(request, time.perf_counter_ns)
            assert plain.slots[0].binding.get_outputs()[0].numpy().tolist() == [size] * size


def test_warm_up_ends_when_the_median_is_stable() -> None:
    falling = [max(5 * MS, 10 * MS - index * MS // 8) for index in range(10**4)]
    found = FakeDevice(*falling).agent(*range(50)).warm_up(1)
    assert found["stable"] and found["typical_ns"] == 5 * MS
    assert 40 < found["samples"] < 100
    early = FakeDevice(5 * MS).agent(*range(50)).warm_up(1)
    assert early["stable"] and early["samples"] < found["samples"]


def test_warm_up_that_never_settles_ends_at_its_limit() -> None:
    device = FakeDevice(*[MS * (10 + index // 7) for index in range(35)])
    found = device.agent(*range(50)).warm_up(1)
    assert not found["stable"]
    assert 0.9e9 < device.now < 1.5e9


def test_warm_up_times_the_same_requests_in_each_block() -> None:
    device = FakeDevice(5 * MS)
    device.agent(*range(50)).warm_up(1)
    fed = [each["x"] for each in device.seen][agent.PROBE :]
    assert fed[:10] == list(range(0, 50, 5)) == fed[10:20]


def test_paced_counts_queueing_but_not_its_own_late_waking() -> None:
    """Every 10 ms; the second inference takes 25 ms, so that the third starts 15 ms late and the fourth 6 ms."""
    device = FakeDevice(MS, 25 * MS, MS, MS, MS)
    found = device.agent(0).paced(5, [0], 10 * MS)
    assert found["service_ns"] == [MS, 25 * MS, MS, MS, MS]
    first, second, third, fourth, fifth = found["ns"]
    assert (first, second, fifth) == (MS, 25 * MS, MS)
    assert third == pytest.approx(16 * MS, abs=MS // 5) and fourth == pytest.approx(7 * MS, abs=MS // 5)


def test_several_streams_really_run_at_once(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx", width=512, repeats=8)
    for threads, how in ((1, "sessions"), (2, "run_async")):
        measured = agent.Agent()
        measured.load(str(model), [{"name": agent.CPU, "options": {}}], threads)
        measured.requests = [{"x": np.zeros((16, 512), np.float32)}] * 3
        found = measured.flight(40, [*range(3)], 3)
        assert found["how"] == how
        assert len(found["ns"]) == 40 and min(found["ns"]) > 0
        # More than one was in flight: together they waited longer than the whole took.
        assert sum(found["ns"]) > 1.2 * found["wall_ns"]


def test_spans_add_up(tmp_path: Path) -> None:
    pipeline = tmp_path / "steps.py"
    pipeline.write_text(
        "import time\nimport numpy as np\n"
        "class Pipeline:\n"
        "    def __init__(self, folder, options): self.scale = options['scale']\n"
        "    def before(self, row): time.sleep(.002); return {'x': np.full((1, 4), row * self.scale, np.float32)}\n"
        "    def after(self, outputs): time.sleep(.001); assert outputs['y'].shape == (1, 4)\n"
    )
    measured = agent.Agent()
    measured.load(str(save_product(tmp_path / "m.onnx")), [{"name": agent.CPU, "options": {}}], 1)
    with pytest.raises(agent.Refusal, match="there is no pipeline"):
        measured.row(1)
    measured.pipeline(str(pipeline), str(tmp_path), {"scale": 2})
    for row in (1, 2):
        measured.row(row)
    assert float(measured.requests[1]["x"][0, 0]) == 4
    found = measured.spans(4, [*range(2)])
    for whole, *parts in zip(*(found[f"{name}ns"] for name in ("", "before_", "inference_", "after_")), strict=True):
        assert whole == sum(parts)
        assert parts[0] >= 2 * MS and parts[2] >= MS and parts[1] > 0


def test_a_profile_adds_up_the_calls_of_each_node(tmp_path: Path) -> None:
    measured = agent.Agent()
    measured.load(str(save_product(tmp_path / "m.onnx", width=256, repeats=3)), [{"name": agent.CPU, "options": {}}], 1)
    measured.requests = [{"x": np.zeros((8, 256), np.float32)}]
    found = measured.profile(5)
    assert len(found["run_ns"]) == 5
    assert [(node["name"], node["op"], node["calls"]) for node in found["nodes"]] == [
        (f"product{index}", "MatMul", 5) for index in range(3)
    ]
    # The runtime does not list a constant that it has packed in its own way.
    assert found["nodes"][0]["inputs"][0] == ("float", [8, 256])
    assert found["nodes"][0]["outputs"] == [("float", [8, 256])]
    assert 0 < sum(node["ns"] for node in found["nodes"]) <= sum(found["run_ns"])


def test_ort_format_and_offline_optimised_files_load(tmp_path: Path) -> None:
    import onnxruntime as ort

    source = save_product(tmp_path / "m.onnx")
    for name, entry in (("kept.ort", "ORT"), ("no-ending", "ORT"), ("optimised.onnx", "ONNX")):
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / name)
        options.add_session_config_entry("session.save_model_format", entry)
        ort.InferenceSession(str(source), options, providers=[agent.CPU])
        found = agent.Agent().load(str(tmp_path / name), [{"name": agent.CPU, "options": {}}], 1)
        assert [value["name"] for value in found["inputs"]] == ["x"]


def test_text_is_timed(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    ends = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("x", "y")]
    node = helper.make_node("StringConcat", ["x", "x"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "text", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    save(model, tmp_path / "m.onnx")
    measured = agent.Agent()
    measured.load(str(tmp_path / "m.onnx"), [{"name": agent.CPU, "options": {}}], 1)
    measured.request({"x": {"dtype": "string", "shape": [1], "data": ["Ü"]}})
    assert len(measured.time(3, [0])["ns"]) == 3


def test_energy_counters_that_start_again(tmp_path: Path) -> None:
    for zone, name, used in (("0", "package-0", 90), ("0:0", "core", 5), ("1", "package-1", 7)):
        folder = tmp_path / f"sys/class/powercap/intel-rapl:{zone}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(name + "\n")
        (folder / "energy_uj").write_text(f"{used}\n")
        (folder / "max_energy_range_uj").write_text("99\n")
    before = agent.energy_counters(tmp_path)
    assert before == [(90, 99), (7, 99)]
    assert agent.energy_between(before, [(10, 99), (8, 99)]) == 20 + 1
    assert agent.energy_counters(tmp_path / "nowhere") is None and agent.energy_between(before, None) is None


def test_conditions_of_the_machine(tmp_path: Path) -> None:
    for name, text in {
        "proc/loadavg": "1.25 0.5 0.2 1/100 42\n",
        "proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 5242880 kB\n",
        "sys/class/thermal/thermal_zone0/temp": "41000\n",
        "sys/class/thermal/thermal_zone1/temp": "73500\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert agent.conditions(tmp_path) == {
        "load": 1.25,
        "temperature_mc": 73500,
        "frequency_khz": 2400000,
        "throttles": 3,
        "memory_free_bytes": 5 * 2**30,
    }
    assert set(agent.conditions(tmp_path / "nowhere").values()) == {None}


def test_by_itself_it_prints_the_same_answers(tmp_path: Path) -> None:
    model, rows = save_product(tmp_path / "m.onnx"), tmp_path / "rows.npz"
    np.savez(rows, **{f"{index}/x": np.full((1, 4), index, np.float32) for index in range(3)})
    command = [sys.executable, agent.__file__, str(model), "--inputs", str(rows), "--samples", "30", "--rounds", "5"]
    done = subprocess.run(
        [*command, "--seconds", "0.01", "--warmup-seconds", "0.1"], capture_output=True, text=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [line["op"] for line in lines] == [
        *("info", "state", "load", "model", "first", "warm_up", *["time"] * 5, "memory", "state")
    ]
    assert sum(len(line["ns"]) for line in lines if line["op"] == "time") >= 30
    assert (lines[2]["provider"], lines[2]["threads"]) == (agent.CPU, 1)
    assert lines[3]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    rows.write_bytes(b"")
    broken = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert broken.returncode == 1 and "EOFError" in json.loads(broken.stdout.splitlines()[-1])["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's process id")
def test_an_agent_that_hangs_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Its parent is killed while an inference does not come back."""
    (tmp_path / "steps.py").write_text("import time\ntime.sleep(600)\n")
    code = (
        "import os, subprocess, sys, time\n"
        "os.environ['EDGESFT_HOST'] = str(os.getpid())\n"
        "child = subprocess.Popen([sys.executable, sys.argv[1]], stdin=subprocess.PIPE, text=True)\n"
        "child.stdin.write(sys.argv[2] + chr(10))\nchild.stdin.flush()\n"
        "print(child.pid, flush=True)\ntime.sleep(600)\n"
    )
    line = json.dumps({"op": "pipeline", "file": str(tmp_path / "steps.py"), "folder": "", "options": {}})
    parent = subprocess.Popen([sys.executable, "-c", code, agent.__file__, line], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        status = Path(f"/proc/{child}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    os.kill(child, 9)
    pytest.fail("the agent outlived its parent")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux carries the parent's peak through exec")
def test_peak_memory_is_not_the_parents() -> None:
    """A process that is much larger than an agent starts one."""
    code = (
        "import subprocess, sys\n"
        "ballast = bytearray(b'x') * 400_000_000\n"
        "subprocess.run([sys.executable, sys.argv[1]], check=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, agent.__file__],
        input='{"op": "memory"}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert 1e6 < json.loads(done.stdout)["peak_bytes"] < 200e6


def test_what_libraries_print_stays_off_the_protocol(tmp_path: Path) -> None:
    """A stand-in for onnxruntime prints to file descriptor 1, as C++ does."""
    (tmp_path / "onnxruntime.py").write_text(
        "import os\nos.write(1, b'loud\\n')\nprint('louder')\nraise ImportError('no')\n"
    )
    done = subprocess.run(
        [sys.executable, agent.__file__],
        input='{"op": "info"}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert "loud" in done.stderr
    (line,) = done.stdout.splitlines()
    assert "onnxruntime cannot be imported" in json.loads(line)["error"]


def test_what_counting_itself_takes_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice(MS)

    class Counter:
        """A thousand for each inference so far, and seven for the counting."""

        def __init__(self) -> None:
            self.found: list[int] = []

        def region(self, action: Any) -> None:
            before = len(device.seen)
            action()
            self.found.append(7 + 1000 * (len(device.seen) - before) * len(device.seen))

        def counts(self) -> list[int]:
            return self.found

        def close(self) -> None:
            device.seen.append({"closed": 1})

    monkeypatch.setattr(agent, "Perf", Counter)
    answer = device.agent(10, 20, 30).instructions("perf", 3)
    assert answer["counts"] == [1000, 2000, 3000] and answer["cpu"]
    assert device.seen == [{"x": 20}] * 3 + [{"closed": 1}]
    monkeypatch.setattr(Counter, "counts", lambda self: self.found[1:])
    with pytest.raises(agent.Refusal, match="must have counted 8 times, got 7"):
        device.agent(10, 20, 30).instructions("perf", 3)


@pytest.mark.skipif(sys.platform != "linux", reason="perf events are Linux's")
def test_perf_counts_in_every_thread() -> None:
    """The clock of this process stands for the instructions, which virtual machines seldom show."""
    try:
        counter = agent.Perf((1, 1))  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK
    except agent.Refusal as refusal:
        pytest.skip(str(refusal))

    def work() -> None:
        sum(range(300_000))

    def aside() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    for action in (work, aside, lambda: None):
        counter.region(action)
    alone, threaded, nothing = counter.counts()
    assert min(alone, threaded) > 500_000 and nothing < 200_000
    files = counter.files
    counter.close()
    with pytest.raises(OSError):
        os.fstat(files[0])


@pytest.mark.skipif(sys.platform != "linux", reason="perf events are Linux's")
def test_perf_tells_what_it_lacks() -> None:
    with pytest.raises(agent.Refusal, match="shows none|not permitted|cannot be opened|no perf events"):
        agent.Perf((10_000, 0))


@pytest.mark.parametrize(("found", "ran"), [([5, 0], 9), ([0, 0], 10)])
def test_perf_that_did_not_run_all_the_time_is_refused(tmp_path: Path, found: list[int], ran: int) -> None:
    counter = agent.Perf.__new__(agent.Perf)
    (tmp_path / "counter").write_bytes(struct.pack("<QQQ", 5, 10, ran))
    counter.files, counter.found = [os.open(tmp_path / "counter", os.O_RDONLY)], found
    with pytest.raises(agent.Refusal, match="did not run all the time"):
        counter.counts()
    counter.close()


def test_dumps_of_callgrind_are_read_in_their_order(tmp_path: Path) -> None:
    counter = agent.Callgrind.__new__(agent.Callgrind)
    counter.dumps = str(tmp_path / "callgrind.out.5.")
    for number in (1, 2, 3, 10, 20):
        text = f"events: Ir\n\nfn=(1) f\n3 {number}\n\ntotals: {number}00\n"
        (tmp_path / f"callgrind.out.5.{number}").write_text(text, "utf-8")
    (tmp_path / "callgrind.out.55.4").write_text("totals: 1")
    counter.before = {str(tmp_path / "callgrind.out.5.1")}
    assert counter.counts() == [200, 300, 1000, 2000]
    (tmp_path / "callgrind.out.5.21").write_text("events: Ir\n")
    with pytest.raises(agent.Refusal, match=r"must have a total, got none in .*out\.5\.21"):
        counter.counts()


def test_without_valgrind_nobody_can_ask_it(tmp_path: Path) -> None:
    with pytest.raises(agent.Refusal, match="does not run under Valgrind|cannot be asked on"):
        agent.Callgrind(str(tmp_path))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="CPUID")
def test_the_visible_processor_is_this_one_where_nothing_hides_it() -> None:
    found, here = agent.visible_cpu(), agent.machine()
    name, _, sets = found.rstrip(")").rpartition(" (")
    if here["system"] == "Linux":
        assert name == here["model"]
        assert set(sets.split()) == set(here["instructions"]) & set(agent.CPU_BITS)
    assert agent.machine_code("4889f8 c3")(7, 0, 0) == 7
