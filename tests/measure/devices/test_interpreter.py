from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgesft.measure.devices import HERE, Conditions, Interpreter
from edgesft.measure.driver import Agent, MeasureError

SCRIPT = Path("agent.py")


def test_this_interpreter_by_default() -> None:
    assert HERE.command(1, SCRIPT) == [sys.executable, "agent.py"] and str(HERE) == HERE.label == "here"


def test_another_one_gets_its_own_packages_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "mine")
    there = Interpreter(Path("/env/python"), conditions=Conditions(environment={"A": "b", "OMP_NUM_THREADS": "9"}))
    told = there.environment(3)
    assert there.label == "/env/python" and not {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} & set(told)
    assert (told["A"], told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"]) == ("b", "9", "3")
    assert told["EDGESFT_HOST"] == str(os.getpid()) and HERE.environment(1)["PYTHONPATH"] == "mine"


def test_cores_are_taskset_s(tmp_path: Path) -> None:
    there = Interpreter(Path("/env/python"), label="env", conditions=Conditions(cores="0,2-3"))
    assert there.command(1, SCRIPT) == ["taskset", "-c", "0,2-3", "/env/python", "agent.py"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores are Linux's")
def test_the_agent_runs_on_those_cores(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    script = tmp_path / "told.py"
    script.write_text("import json, os\ninput()\nprint(json.dumps({'cores': sorted(os.sched_getaffinity(0))}))\n")
    with Agent(device=Interpreter(conditions=Conditions(cores=str(core))), script=script) as agent:
        assert agent.info()["cores"] == [core]


def test_without_taskset_it_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeasureError, match="must start, got taskset"):
        Agent(device=Interpreter(conditions=Conditions(cores="0")))


def test_files_stay_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert HERE.bring([Path("m.onnx"), Path("w.bin")]) == str(tmp_path / "m.onnx")


def test_nothing_is_opened_and_it_may_be_closed_again() -> None:
    with Interpreter() as device:
        device.close()
    device.close()
    assert device.ending(-9) == "killed by signal 9" and device.ending(3) == "exit code 3"
