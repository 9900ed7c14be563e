from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgesft.measure.devices import Interpreter
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.replies import Value
from edgesft.measure.runner import answering
from edgesft.spec.profile import ProviderSpec
from tests.measure.models import profile, save_product

CPU = [ProviderSpec(name="CPUExecutionProvider")]


def scripted(tmp_path: Path, code: str, **arguments: float) -> Agent:
    """An agent that runs this program instead."""
    script = tmp_path / "scripted.py"
    script.write_text(code)
    return Agent(script=script, **arguments)


def test_every_operation(tmp_path: Path) -> None:
    feeds = {"x": np.arange(4, dtype=np.float32).reshape(1, 4)}
    with Agent(2) as agent:
        assert "CPUExecutionProvider" in agent.info()["providers"]
        facts = agent.load(save_product(tmp_path / "m.onnx"), CPU, 2)
        assert facts.load_ns > 0 and facts.placement == {"CPUExecutionProvider": 1}
        assert facts.inputs == (Value("x", "float32", ("batch", 4)),)
        assert (facts.outputs[0].name, facts.partitions, facts.left) == ("y", 1, {})
        agent.request(feeds)
        assert agent.first() > 0
        assert agent.warm_up(0.05).samples >= 3
        assert len(agent.series("time", 5, [0]).ns) == 5
        flight = agent.series("flight", 5, [0], streams=2)
        assert len(flight.ns) == 5 and flight.detail["wall_ns"] > 0
        assert agent.profile(3)["nodes"][0]["op"] == "MatMul"
        assert agent.evict([tmp_path / "m.onnx"]) in (True, False)
        assert set(agent.state()) >= {"load", "temperature_mc", "frequency_khz", "throttles"}
        assert np.array_equal(agent.run(feeds)["y"], feeds["x"])
        peak, baseline = agent.memory()
        assert peak and baseline and peak > baseline
        with pytest.raises(MeasureError, match="could not do 'load'.*CUDAExecutionProvider"):
            agent.load(tmp_path / "m.onnx", [ProviderSpec(name="CUDAExecutionProvider")], 1)
    with pytest.raises(MeasureError, match="is closed"):
        agent.info()


def test_runner_evaluates_quickly(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx", width=64)
    rng = np.random.default_rng(0)
    rows = [{"x": rng.standard_normal((1, 64), dtype=np.float32)} for _ in range(300)]
    with answering({"model": model}, profile()) as run:
        started = time.perf_counter()
        outputs = [run(feeds)["y"] for feeds in rows]
        assert (time.perf_counter() - started) / len(rows) < 2e-3
        with pytest.raises(MeasureError, match="graph must be 'model'"):
            run(rows[0], graph="step")
    assert all(np.allclose(output, feeds["x"]) for output, feeds in zip(outputs, rows, strict=True))


def test_a_crash_carries_the_last_words(tmp_path: Path) -> None:
    code = "import sys\nprint('out of luck', file=sys.stderr)\nsys.stdin.readline()\nsys.exit(7)\n"
    with (
        scripted(tmp_path, code) as agent,
        pytest.raises(MeasureError, match="(?s)died in 'info'.*code 7.*out of luck"),
    ):
        agent.info()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_process_is_named(tmp_path: Path) -> None:
    with (
        scripted(tmp_path, "import os\nos.kill(os.getpid(), 9)\n") as agent,
        pytest.raises(MeasureError, match="killed by signal 9"),
    ):
        agent.info()


def test_a_hang_ends(tmp_path: Path) -> None:
    with (
        scripted(tmp_path, "import time\ntime.sleep(600)\n", timeout_seconds=0.3) as agent,
        pytest.raises(MeasureError, match="did not answer 'info' within 0.3 s"),
    ):
        agent.info()


def test_an_answer_that_is_no_json_is_named(tmp_path: Path) -> None:
    with (
        scripted(tmp_path, "input()\nprint('hello')\n") as agent,
        pytest.raises(MeasureError, match="must answer 'info' with JSON, got 'hello"),
    ):
        agent.info()


def test_no_process_outlives_its_agent(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), Agent() as agent:
        pid = agent._process.pid
        raise RuntimeError("stop")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_missing_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="must start, got"):
        Agent(device=Interpreter(tmp_path / "python"))
    assert MeasureError.exit_code == 4


def test_the_environment_sets_threads_and_does_not_leak_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import json, os\ninput()\n"
        "print(json.dumps({name: os.environ.get(name) for name in ('OMP_NUM_THREADS', 'PYTHONPATH')}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    script = tmp_path / "scripted.py"
    script.write_text(code)
    with Agent(3, script=script) as agent:
        assert agent.info() == {"OMP_NUM_THREADS": "3", "PYTHONPATH": "somewhere"}
    with Agent(3, Interpreter(Path(sys.executable)), script=script) as agent:
        assert agent.info() == {"OMP_NUM_THREADS": "3", "PYTHONPATH": None}


def test_an_interpreter_behind_a_wrapper_ends_too(tmp_path: Path) -> None:
    """A script that starts the interpreter as a child of its own, which is not killed with it."""
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    wrapper.chmod(0o755)
    started = time.monotonic()
    with Agent(device=Interpreter(wrapper)) as agent:
        assert agent.info()["runtime"]
    assert time.monotonic() - started < 30


def test_an_agent_that_leaves_inputs_elsewhere_is_refused(tmp_path: Path) -> None:
    answer = {"load_ns": 1, "placement": None, "partitions": None, "left": None, "inputs": [], "outputs": []}
    code = f"import json, sys\nfor line in sys.stdin:\n    print(json.dumps({answer!r}), flush=True)\n"
    model = save_product(tmp_path / "m.onnx")
    with scripted(tmp_path, code) as agent:
        assert agent.load(model, profile().providers, 1).io == "host"
        with pytest.raises(MeasureError, match="must leave inputs and outputs on the device, got host"):
            agent.load(model, profile().providers, 1, io="device")
