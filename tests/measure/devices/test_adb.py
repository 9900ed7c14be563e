"""A phone over adb: the native runner is the real one, built here; adb is a program whose phone is a folder."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import UnavailableError
from edgesft.measure.bench.bench import bench
from edgesft.measure.bench.order import Order
from edgesft.measure.devices import HERE, Conditions, adb
from edgesft.measure.devices.adb import Adb, _abi, _mask
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.measurement import Measurement
from edgesft.measure.protocol import measure
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.report import bench as report
from edgesft.spec.profile import MeasureSpec
from tests.export import native
from tests.export.test_runner import SOURCE
from tests.measure import models
from tests.measure.devices import fake_adb
from tests.measure.devices.sshd import children, kill, marked, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the phone's shell is this machine's")

QUICK = MeasureSpec(samples=30, seconds=0.02, rounds=5, max_seconds=1, warmup_seconds=0.1)

HERE_ABI = {"x86_64": "x86_64", "aarch64": "arm64-v8a"}.get(platform.machine(), "none")

Make = Callable[..., Adb]


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built quickly: what it computes with is in the library."""
    return native.made(SOURCE, tmp_path_factory.mktemp("runner"), CXXFLAGS="-O0") / "runner"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime of this interpreter under the name that one for Android has."""
    import onnxruntime

    found = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    if not found:
        pytest.skip("this onnxruntime has no library of its own, as those for Linux have")
    link = tmp_path_factory.mktemp("library") / "libonnxruntime.so"
    link.symlink_to(found[0])
    return link


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the phone."""
    return fake_adb.install(tmp_path / "phone", monkeypatch, f"{HERE_ABI},other")


@pytest.fixture
def real(phone: Path, runner: Path, library: Path) -> Make:
    """Makes devices that measure."""
    return lambda **more: Adb("1A2B", runner, [library], label="phone", folder=f"{phone}/root/kept", **more)


@pytest.fixture
def claimed(phone: Path, tmp_path: Path) -> Make:
    """Makes devices whose runner is only a file."""
    for name in ("runner", "libonnxruntime.so", "libQnnHtp.so"):
        (tmp_path / name).write_text(f"#!/bin/sh\n# {name}\n" if name == "runner" else name)
    libraries = [tmp_path / "libonnxruntime.so", tmp_path / "libQnnHtp.so"]

    def make(**more: Any) -> Adb:
        given = {"serial": "1A2B", "runner": tmp_path / "runner", "label": "phone", "folder": f"{phone}/root/kept"}
        return Adb(**{**given, **more}, libraries=libraries)

    return make


def subject(model: Path, device: Any) -> Subject:
    feeds = {"x": np.ones((1, 4), np.float32)}
    return Subject(model, models.profile().providers, 1, Requests((feeds,) * 3, "ones"), device=device)


def running(phone: Path) -> list[int]:
    """Processes on the phone, and the adb that talks to them."""
    return marked(f"{phone}/root/kept/sets", there=False)


def end(phone: Path) -> None:
    """Kills what runs on the phone, and not the adb that talks to it."""
    for pid in running(phone):
        if not children(pid):
            kill(pid)


def asked(phone: Path) -> list[str]:
    return (phone / "asked").read_text().splitlines()


# What is measured -----------------------------------------------------------------------------------------------------


def test_a_bench_on_the_phone_and_here(real: Make, phone: Path, tmp_path: Path) -> None:
    model = models.save_product(tmp_path / "m.onnx", repeats=3, outside="m.bin")
    device = real(conditions=Conditions(cores="4-7"))
    profile = models.profile(measure=QUICK)
    rows = bench(Order([model], profile, profile.providers, devices=(HERE, device)), Progress(quiet=True))
    here, there = rows
    assert [row.problem for row in rows] == [None, None]
    assert here.measurement is not None and there.measurement is not None
    assert there.device == there.measurement.device == "phone" and len(there.measurement.rounds) == 5
    assert there.parity is not None and there.parity.holds
    assert here.measurement.placement == {"CPUExecutionProvider": 3}
    assert there.measurement.placement is None, "its runtime does not tell where nodes are"
    assert there.measurement.machine["python"] is None and there.measurement.runtime == here.measurement.runtime
    assert (phone / "mask").read_text() == "f0\n"
    told = json.dumps(report.to_json(rows, profile))
    assert '"m.onnx on phone"' in told and report.tables(json.loads(told)) is not None
    sets = phone / "root" / "kept" / "sets"
    assert sorted(file.name for file in sets.rglob("*") if file.is_file()) == [
        *("libonnxruntime.so", "m.bin", "m.onnx", "runner"),
    ]


def test_what_is_on_the_phone_is_not_sent_again(real: Make, phone: Path, tmp_path: Path) -> None:
    model = models.save_product(tmp_path / "m.onnx")
    for _ in range(2):
        with real() as device, Agent(device=device) as agent:
            agent.load(model, models.profile().providers, 1)
    assert sum(" push " in line for line in asked(phone)) == 3


def test_a_phone_that_is_gone_between_rounds(real: Make, phone: Path, tmp_path: Path) -> None:
    model, rounds = models.save_product(tmp_path / "m.onnx"), []

    def stop(rows: Any) -> bool:
        rounds.append(set(rows))
        if len(rounds) == 2:
            (phone / "gone").touch()
            end(phone)
        return len(rounds) == 4

    found = measure({"there": subject(model, real()), "here": subject(model, HERE)}, QUICK, stop=stop)
    assert isinstance(found["there"], MeasureError) and isinstance(found["here"], Measurement)
    assert "(the connection to phone was lost)" in str(found["there"])
    assert rounds == [{"there", "here"}] * 2 + [{"here"}] * 2


def test_a_runner_that_the_phone_kills(real: Make, phone: Path) -> None:
    with Agent(device=real()) as agent:
        agent.info()
        end(phone)
        with pytest.raises(MeasureError, match=r"died in 'info' \(killed by signal 9\)"):
            agent.info()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_nothing_is_left_running(real: Make, phone: Path) -> None:
    with Agent(device=real()) as agent:
        agent.info()
        assert running(phone)
    assert wait_for(lambda: not running(phone), 5)


# How it is asked ------------------------------------------------------------------------------------------------------


def test_how_the_runner_is_started(claimed: Make, phone: Path) -> None:
    conditions = Conditions(environment={"A": "b c", "ADSP_LIBRARY_PATH": "/vendor"}, cores="0,6-7")
    command = claimed(conditions=conditions).command(4, Path("agent.py"))
    (folder,) = (phone / "root/kept/sets").iterdir()
    assert command[:5] == ["adb", "-s", "1A2B", "shell", "-T"]
    assert command[5] == (
        f"exec env LD_LIBRARY_PATH={folder} ADSP_LIBRARY_PATH=/vendor 'A=b c' taskset c1 "
        f"{folder}/runner --runtime {folder}/libonnxruntime.so"
    )
    assert (folder / "libQnnHtp.so").read_text() == "libQnnHtp.so" and os.access(folder / "runner", os.X_OK)


@pytest.mark.parametrize(("cores", "mask"), [("0", "1"), ("4-7", "f0"), ("0,2-3", "d"), ("7,4-5", "b0")])
def test_a_mask_of_cores(cores: str, mask: str) -> None:
    assert _mask(cores) == mask


@pytest.mark.parametrize(
    ("machine", "abi"), [(183, "arm64-v8a"), (40, "armeabi-v7a"), (62, "x86_64"), (3, "x86"), (243, None)]
)
def test_what_a_runner_is_built_for(machine: int, abi: str | None, tmp_path: Path) -> None:
    (tmp_path / "runner").write_bytes(b"\x7fELF".ljust(18, b"\0") + machine.to_bytes(2, "little") + bytes(40))
    assert _abi(tmp_path / "runner") == abi


# What cannot be done --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (
            "error: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set",
            "got: unauthorized(?s:.*)unlock",
        ),
        ("error: device offline", "phone must answer, got: offline"),
        ("error: device '1A2B' not found", "phone must be connected, got no such device"),
        ("adb: error: failed to get feature set: device '1A2B' not found", "got no such device"),
        ("adb: error: failed to get feature set: no devices/emulators found", "got no device at all"),
        (
            "error: insufficient permissions for device: user in plugdev group",
            "this user must be allowed to open phone",
        ),
        ("error: closed", "the connection to phone must hold, got it closed"),
        ("adb: error: connect failed: closed", "the connection to phone must hold, got it closed"),
        ("adb: unknown option -T", "phone must carry out what is asked, got: adb: unknown option -T"),
    ],
)
def test_words_of_adb(says: str, message: str, claimed: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ADB_SAYS", says)
    device = claimed()
    for _ in range(2):
        with pytest.raises(UnavailableError, match=message):
            device.command(1, Path("agent.py"))


def test_another_phone(claimed: Make) -> None:
    with pytest.raises(UnavailableError, match="phone must be connected, got no such device"):
        claimed(serial="2B3C").command(1, Path("agent.py"))


def test_words_of_the_phone_s_shell_are_its_own(claimed: Make, phone: Path) -> None:
    (phone / "bin/sha256sum").write_text("#!/bin/sh\necho 'sha256sum: inaccessible or not found' >&2\nexit 127\n")
    (phone / "bin/sha256sum").chmod(0o755)
    with pytest.raises(UnavailableError, match="phone must carry out what is asked, got: sha256sum: inaccessible"):
        claimed().command(1, Path("agent.py"))


def test_a_full_phone(claimed: Make, phone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ADB_FULL", "1")
    with pytest.raises(UnavailableError, match="the disk of phone must have room, got: no space left"):
        claimed().command(1, Path("agent.py"))
    assert list((phone / "root/kept/blobs").iterdir()) == [], "part of a file would fill it even more"


def test_a_phone_that_is_seen_to_be_full(claimed: Make, phone: Path) -> None:
    (phone / "bin/df").write_text("#!/bin/sh\necho Filesystem\necho '/dev/block/dm-9 9 9 9 99% /data'\n")
    (phone / "bin/df").chmod(0o755)
    with pytest.raises(UnavailableError, match=r"the disk of phone must have 1\.0 MB free .* got 0\.0 MB"):
        claimed().command(1, Path("agent.py"))
    assert not any(" push " in line for line in asked(phone))


def test_a_runner_for_another_processor(claimed: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ADB_ABI", "arm64-v8a,armeabi-v7a,armeabi")
    device = claimed()
    device.runner.write_bytes(b"\x7fELF".ljust(18, b"\0") + (62).to_bytes(2, "little"))
    message = "must be built for arm64-v8a or armeabi-v7a or armeabi, as phone needs it, got one for x86_64"
    with pytest.raises(UnavailableError, match=f"{message}(?s:.*)export/runner/README.md"):
        device.command(1, Path("agent.py"))
    monkeypatch.setenv("FAKE_ADB_ABI", "x86_64,arm64-v8a")
    assert device.command(1, Path("agent.py"))[0] == "adb"


def test_a_phone_that_says_nothing(claimed: Make, phone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "SHELL_SECONDS", 0.3)
    (phone / "path/adb").write_text("#!/bin/sh\nexec sleep 60\n")
    device = claimed()
    with pytest.raises(UnavailableError, match="phone must answer, got silence"):
        device.command(1, Path("agent.py"))


def test_without_adb(claimed: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(UnavailableError, match="adb must be installed, got: (?s:.*)platform tools"):
        claimed().command(1, Path("agent.py"))
