"""What other programs take of the machine meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesft.measure import others as module
from edgesft.measure.inputs import Requests
from edgesft.measure.measurement import Measurement
from edgesft.measure.others import NOTED, OTHERS, Others, disturbed
from edgesft.measure.protocol import measure
from edgesft.measure.subject import Subject
from edgesft.pipeline.rows import required
from edgesft.report.stages import doubts
from edgesft.spec.profile import MeasureSpec
from tests.measure.models import profile, save_product

TICKS = os.sysconf("SC_CLK_TCK")


def stat(root: Path, *, user: float, idle: float = 0, agent: float = 0) -> None:
    """Seconds that all cores worked and idled, and that process 7 worked."""
    (root / "proc/7").mkdir(parents=True, exist_ok=True)
    numbers = [round(each * TICKS) for each in (user, 0, 0, idle, idle, 0, 0, 0, 99, 0)]
    (root / "proc/stat").write_text(f"cpu  {' '.join(map(str, numbers))}\ncpu0 1 2 3\n")
    said = ["S", *["0"] * 10, str(round(agent * TICKS)), "0", "0"]
    (root / "proc/7/stat").write_text(f"7 (a (b) c) {' '.join(said)}\n")


def test_what_neither_this_process_nor_its_agents_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, mine = iter((100.0, 110.0)), iter(((1, 0, 0, 0, 0), (1.5, 0.5, 1, 0, 0)))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module.os, "times", lambda: next(mine))
    stat(tmp_path, user=50, agent=3)
    others = Others([7], tmp_path)
    stat(tmp_path, user=67, idle=30, agent=10)
    # Of 17 seconds of work in ten, seven were the agent's, and two this process's and its children's.
    assert others.cores() == pytest.approx(0.8)


def test_where_the_system_does_not_tell_nothing_is_said(tmp_path: Path) -> None:
    assert Others([], tmp_path).cores() is None
    stat(tmp_path, user=1)
    assert Others([8], tmp_path).cores() is None, "an agent that ended"
    assert disturbed(None) == disturbed(NOTED / 2) == ()
    assert "other programs were busy on 1.2 cores" in disturbed(1.2)[0]


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not tell")
def test_a_program_beside_is_seen() -> None:
    busy = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(busy) as known, subprocess.Popen(busy) as other:
        others = Others([known.pid])
        end = module.time.monotonic() + 1.5
        while module.time.monotonic() < end:
            pass
        found = others.cores()
        known.kill(), other.kill()
    assert found is not None and found > 0.2


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not tell")
def test_a_measurement_has_it_and_says_so_where_it_is_much(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    requests = Requests(({"x": np.zeros((1, 4), np.float32)},), "rows")
    subject = Subject(model, profile().providers, 1, requests)
    settings = MeasureSpec(samples=30, seconds=0.1, rounds=5, warmup_seconds=0.1)
    found = required(measure({"m": subject}, settings)["m"])
    assert found.conditions[-1][OTHERS] >= 0
    told = replace(found, conditions=({**found.conditions[-1], OTHERS: 1.0},))
    assert "on 1.0 cores" in Measurement.from_json(told.to_json()).disturbed[0]
    assert told.to_json()["disturbed"] == list(told.disturbed) == doubts({"disturbed": told.disturbed})
