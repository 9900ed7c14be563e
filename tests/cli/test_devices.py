"""`edgesft bench` on devices: one that cannot be reached costs nobody else a row, and what cannot work is told."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesft.cli.main import main
from edgesft.measure.providers import PROVIDERS
from tests.measure import models

FAST = (
    *("measure.seconds=0.05", "measure.samples=30", "measure.rounds=5", "measure.warmup_seconds=0.1"),
    *("measure.max_seconds=2", "--quiet"),
)


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model and a file of devices, of which `gone` cannot be reached."""
    monkeypatch.chdir(tmp_path)
    for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    models.save_product(tmp_path / "m.onnx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Path("devices.yaml").write_text(
        "devices:\n"
        f"  env: {{python: {json.dumps(sys.executable)}}}\n"
        f"  gone: {{ssh: me@127.0.0.1, port: {port}}}\n"
        "  phone: {adb: 1A2B, runner: m.onnx, libraries: [m.onnx]}\n"
    )
    # Neither program is needed for what is tested here, nor may it differ where they are not installed.
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, words in {
        "ssh": f"ssh: connect to host 127.0.0.1 port {port}: Connection refused",
        "adb": "error: device unauthorized.",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\necho '{words}' >&2\nexit {255 if name == 'ssh' else 1}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts as programs")


def on(*devices: str) -> list[str]:
    return [word for device in devices for word in ("--device", device)]


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and gives its exit code and what it printed as JSON."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        code = main(["bench", *map(str, words), *FAST, "--format", "json"])
        out, err = capsys.readouterr()
        assert err == ""
        return code, json.loads(out)

    return run


@pytest.fixture
def failing(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and gives its exit code and what it said on standard error, having printed nothing else."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["bench", *map(str, words), *FAST])
        out, err = capsys.readouterr()
        assert out == "" and "Traceback" not in err
        return code, err

    return run


def test_a_device_that_cannot_be_reached_is_a_row_with_its_reason(bench: Any) -> None:
    code, found = bench("m.onnx", *on("gone", "env", "phone"))
    assert code == 4
    assert [row["name"] for row in found["rows"]] == ["m.onnx on gone", "m.onnx on env", "m.onnx on phone"]
    rows = {row["name"].split()[-1]: row for row in found["rows"]}
    assert rows["gone"]["measurement"] is None
    assert "gone must run an ssh server, got: connection refused" in rows["gone"]["problem"]
    assert "phone must allow this computer, got: unauthorized" in rows["phone"]["problem"]
    assert rows["env"]["problem"] is None and rows["env"]["latency_ns"]["n"] >= 30 and rows["env"]["parity"]["holds"]
    assert rows["env"]["measurement"]["device"] == "env"


def test_the_table_has_the_figures_and_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "m.onnx", *on("gone", "here"), *FAST]) == 4
    out = " ".join(capsys.readouterr().out.split())
    assert "m.onnx on here" in out and "m.onnx on gone" in out and "connection refused" in out


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gone", "gone must run an ssh server, got: connection refused"),
        ("phone", "phone must allow this computer, got: unauthorized"),
        ("ssh://me@127.0.0.1", "ssh://me@127.0.0.1 must run an ssh server, got: connection refused"),
    ],
)
def test_the_only_device_cannot_be_reached(device: str, message: str, failing: Any) -> None:
    code, said = failing("m.onnx", *on(device))
    assert code == 4 and message in said and said.count("Try: ") == 1


def test_no_device_can_be_reached(bench: Any) -> None:
    code, found = bench("m.onnx", *on("gone", "phone"))
    assert code == 4 and all(row["problem"] and row["latency_ns"] is None for row in found["rows"])


def test_every_provider_on_two_devices(bench: Any) -> None:
    code, found = bench("m.onnx", *on("here", "env"), "--provider", "all")
    rows = found["rows"]
    assert code == 4 and {row["provider"] for row in rows} == set(PROVIDERS)
    done = [row["name"] for row in rows if row["problem"] is None]
    assert {"m.onnx CPU on here", "m.onnx CPU on env"} <= set(done)
    cuda = [row for row in rows if row["provider"] == "CUDAExecutionProvider"]
    assert cuda and all("onnxruntime-gpu" in row["problem"] or "CUDA" in row["problem"] for row in cuda)


def test_every_provider_where_one_device_cannot_be_reached(bench: Any) -> None:
    code, found = bench("m.onnx", *on("env", "gone"), "--provider", "cpu", "--provider", "cuda")
    told = {row["name"]: row["problem"] for row in found["rows"]}
    assert code == 4 and told["m.onnx CPU on env"] is None
    assert "connection refused" in told["m.onnx CPU on gone"] and "connection refused" in told["m.onnx CUDA on gone"]


@pytest.mark.parametrize(
    ("words", "phrases"),
    [
        (["--provider", "openvino:num_thread=1"], ["'num_thread'", "OpenVINOExecutionProvider", "'num_of_threads'"]),
        (["--provider", "tpu"], ["must be one that ONNX Runtime has, got 'tpu'", "no execution provider for TPUs"]),
        (on("phonne"), ["device must be here, an interpreter", "got 'phonne'", "'phone'"]),
        (on("env", "env"), ["devices must differ, got env more than once"]),
        (["--devices", "other.yaml", *on("env")], ["other.yaml"]),
        (on("ssh://me:secret@board"), ["must be ssh://user@host[:port]"]),
        (on("adb://1A2B"), ["must stand in a file of devices"]),
        (["--aa", *on("env", "here")], ["device must be one"]),
    ],
)
def test_what_cannot_work(words: list[str], phrases: list[str], failing: Any) -> None:
    code, said = failing("m.onnx", *words)
    assert code == 2 and all(phrase in said for phrase in phrases), said


def test_a_wrong_file_of_devices_is_told_by_its_line(failing: Any) -> None:
    Path("devices.yaml").write_text("devices:\n  pi:\n    ssh: me@pi\n    prot: 22\n")
    code, said = failing("m.onnx", *on("pi"))
    assert code == 2 and "devices.yaml:4" in said and "'prot'" in said and "'port'" in said
