"""From what a person writes to a device; nothing is connected."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesft.errors import InputError
from edgesft.measure.devices import HERE, Interpreter
from edgesft.measure.devices.adb import Adb
from edgesft.measure.devices.find import find, pool
from edgesft.measure.devices.ssh import Ssh

POOL = """
devices:
  other: {python: env/bin/python, environment: {LD_LIBRARY_PATH: "{folder}/libs", A: b}, cores: "0-1", cool_c: 60}
  bare: {python: python3}
  pi:
    ssh: pi@192.168.0.7
    port: 2222
    identity: keys/pi
    known_hosts: known hosts
    python: ~/venv/bin/python
    folder: ~/measured
  board: {ssh: board}
  phone: {adb: 1A2B, runner: runner, libraries: [libonnxruntime.so, libQnnHtp.so], cores: 4-7, cool_seconds: 20}
"""

FILES = ("env/bin/python", "keys/pi", "known hosts", "runner", "libonnxruntime.so", "libQnnHtp.so")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of devices, beside all that it names."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pool.yaml").write_text(POOL)
    return tmp_path / "pool.yaml"


def test_names_of_a_file(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    known, base = pool(file)
    assert list(known) == ["other", "bare", "pi", "board", "phone"] and base == file.parent
    other, bare, pi, board, phone = (find(name, known, base) for name in known)
    assert isinstance(other, Interpreter) and other.python == base / "env/bin/python"
    assert other.conditions.environment == {"LD_LIBRARY_PATH": f"{base}/libs", "A": "b"}
    assert (other.conditions.cores, other.conditions.cool_c, other.conditions.cool_seconds) == ("0-1", 60, 300)
    assert isinstance(bare, Interpreter) and bare.python == Path("python3"), "the shell finds it"
    assert isinstance(pi, Ssh) and (pi.host, pi.python, pi.folder) == ("pi@192.168.0.7", "venv/bin/python", "measured")
    assert isinstance(board, Ssh) and (board.python, board.folder) == ("python3", ".cache/edgesft")
    assert isinstance(phone, Adb) and phone.serial == "1A2B" and phone.folder == "/data/local/tmp/edgesft"
    assert [phone.runner, *phone.libraries] == [base / name for name in FILES[3:]]
    assert [device.label for device in (other, bare, pi, board, phone)] == list(known)


def test_how_ssh_is_asked(file: Path) -> None:
    known, base = pool(file)
    device = find("pi", known, base)
    assert isinstance(device, Ssh)
    command = device._ssh("true")
    assert command[command.index("-p") + 1] == "2222" and command[command.index("-i") + 1] == str(base / "keys/pi")
    assert f'UserKnownHostsFile="{base}/known hosts"' in command and command[-3:-1] == ["--", "pi@192.168.0.7"]


def test_a_file_is_found_where_the_command_runs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert pool() == ({}, Path())
    file.rename("devices.yaml")
    known, base = pool()
    assert "pi" in known and base == file.parent


def test_this_interpreter_and_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("here") is HERE
    program = tmp_path / "mine"
    program.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for text in ("mine", "./mine", str(program)):
        device = find(text)
        assert isinstance(device, Interpreter) and (device.python, device.label) == (program, text)


def test_a_name_goes_before_a_program(file: Path) -> None:
    known, base = pool(file)
    device = find("python", {"python": known["board"]}, base)
    assert isinstance(device, Ssh)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("ssh://pi@192.168.0.7", "pi@192.168.0.7", None),
        ("ssh://Board", "Board", None),
        ("ssh://me@Board.local:22022/", "me@Board.local", "22022"),
        ("ssh://me@[fe80::1]:2222", "me@fe80::1", "2222"),
    ],
)
def test_addresses(text: str, host: str, port: str | None) -> None:
    device = find(text)
    assert isinstance(device, Ssh) and (device.host, device.label) == (host, text)
    command = device._ssh("true")
    assert ("-p" in command) == (port is not None) and (port is None or command[command.index("-p") + 1] == port)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phonee", r"device must be here, an interpreter, ssh://.*, got 'phonee'\n +Try: 'phone'"),
        ("ssh://", r"must be ssh://user@host\[:port\], got 'ssh://'"),
        ("ssh://pi:secret@host", "must be ssh://user"),
        ("ssh://pi@host:port", "must be ssh://user"),
        ("ssh://pi@host:70000", "must be ssh://user"),
        ("ssh://pi@host/folder", "must be ssh://user"),
        ("adb://1A2B", r"'adb://1A2B' must stand in a file of devices(?s:.*)adb: 1A2B, runner"),
        ("http://host", "device must be here, an interpreter"),
        ("", "device must be here"),
    ],
)
def test_what_means_no_device(text: str, message: str, file: Path) -> None:
    known, base = pool(file)
    with pytest.raises(InputError, match=message):
        find(text, known, base)


def test_without_names_the_forms_are_told() -> None:
    with pytest.raises(InputError, match=r"got 'nope'\n +Try: here, an interpreter, ssh://"):
        find("nope")


@pytest.mark.parametrize(
    ("name", "gone"),
    [("other", "env/bin/python"), ("pi", "keys/pi"), ("pi", "known hosts"), ("phone", "runner")]
    + [("phone", "libQnnHtp.so")],
)
def test_files_that_are_not_there(name: str, gone: str, file: Path) -> None:
    (file.parent / gone).unlink()
    known, base = pool(file)
    with pytest.raises(InputError, match=f"device '{name}' must name files that exist, got no '{base / gone}'"):
        find(name, known, base)


WRONG = {
    "devices: {}": ["'devices'", "at least 1"],
    "devcies: {pi: {ssh: pi}}": [":1", "'devcies'", "'devices'"],
    "devices:\n  pi:\n    ssh: pi\n    prot: 22": [":4", "'prot'", "'port'"],
    "devices:\n  pi: {ssh: pi, port: 0}": [":2", "port", "1"],
    "devices:\n  pi: {ssh: pi, cores: all}": [":2", "cores"],
    "devices:\n  pi: {ssh: pi, cool_c: 200}": [":2", "cool_c", "120"],
    "devices:\n  pi: {}": [":2", "python, ssh, adb"],
    "devices:\n  pi: {ssh: pi, adb: 1A}": [":2", "in one way"],
    "devices:\n  phone: {adb: 1A, runner: runner}": [":2", "'runner' and 'libraries'"],
    "devices:\n  env: {python: python3, port: 22}": [":2", "by ssh if it has port"],
    "devices:\n  env: {python: python3, runner: r}": [":2", "by adb if it has runner"],
    "devices:\n  env: {python: python3, folder: r}": [":2", "ssh or adb if it has folder"],
    "devices: [": ["YAML"],
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        pool(file)
    assert all(phrase in str(caught.value) for phrase in [str(file), *WRONG[text]]), caught.value


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nope\.yaml"):
        pool(tmp_path / "nope.yaml")
