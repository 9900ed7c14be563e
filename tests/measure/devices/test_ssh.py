"""A machine over ssh, against OpenSSH's own server on loopback: its python is this one, its disk a folder here."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import UnavailableError
from edgesft.measure.bench.bench import bench
from edgesft.measure.bench.order import Order
from edgesft.measure.devices import HERE, Conditions, ssh, wheels
from edgesft.measure.devices.ssh import Ssh
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.measurement import Measurement
from edgesft.measure.protocol import measure
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.profile import MeasureSpec
from tests.measure import models
from tests.measure.devices.sshd import Server, free_port, kill, marked, save_key, wait_for
from tests.measure.devices.test_runtime import save_wheel

QUICK = MeasureSpec(samples=30, seconds=0.02, rounds=5, max_seconds=1, warmup_seconds=0.1)

LACKS_NOTHING = {"python": [3, 11], "machine": "none", "libc": "2.36", "onnxruntime": "1.23.0", "numpy": "2.3.0"}

Make = Callable[..., Ssh]


@pytest.fixture
def mark() -> str:
    """What tells this test's processes from others."""
    return f"EDGESFT_TEST_{secrets.token_hex(8)}"


@pytest.fixture
def device(server: Server, mark: str, tmp_path: Path) -> Iterator[Make]:
    """Makes devices of the server with a disk of their own; none may leave a process behind, on either side."""
    made: list[Ssh] = []

    def make(**changes: Any) -> Ssh:
        given = {"folder": str(tmp_path / "there"), "conditions": Conditions(environment={mark: "1"})}
        made.append(server.device(**{**given, **changes}))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert wait_for(lambda: not marked(mark) and not marked(str(tmp_path), there=False), 10)
    assert wait_for(lambda: not server.sessions(), 10)


@pytest.fixture
def light(device: Make, tmp_path: Path) -> Make:
    """The same, with an interpreter that only claims to be one: files need no better."""
    return lambda **changes: device(**{"python": str(save_claim(tmp_path / "python")), **changes})


def save_claim(path: Path, **facts: Any) -> Path:
    path.write_text(f"#!/bin/sh\necho '{json.dumps({**LACKS_NOTHING, **facts})}'\n")
    path.chmod(0o755)
    return path


def subject(model: Path, device: Any, **more: Any) -> Subject:
    feeds = {"x": np.ones((1, 4) if model.name != "endless.onnx" else 1, np.float32)}
    held = Requests((feeds,) * 3, "ones")
    return Subject(model, models.profile().providers, 1, held, device=device, time_limit=60, **more)


# What is measured -----------------------------------------------------------------------------------------------------


def test_a_bench_there_and_here(device: Make, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    model = models.save_product(tmp_path / "m.onnx", outside="weights/m.bin")
    board, said = device(label="board"), []
    progress = Progress(quiet=True)
    progress.say = said.append  # type: ignore[method-assign]
    profile = models.profile(measure=QUICK)
    order = Order([model], profile, profile.providers, devices=(HERE, board))
    rows = bench(order, progress)
    assert [(row.name, row.device, row.problem) for row in rows] == [
        ("m.onnx on here", "here", None),
        ("m.onnx on board", "board", None),
    ]
    for row in rows:
        assert row.measurement is not None and row.measurement.device == row.device
        assert len(row.measurement.rounds) == 5 and row.measurement.placement == {"CPUExecutionProvider": 1}
        assert row.measurement.peak_memory_bytes and row.parity is not None and row.parity.holds
    assert rows[0].measurement.machine == rows[1].measurement.machine  # type: ignore[union-attr]


def test_a_cold_start_reads_external_data_from_the_disk_there(device: Make, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    model = models.save_product(tmp_path / "m.onnx", outside="weights/m.bin")
    files = (model, tmp_path / "weights" / "m.bin")
    settings = QUICK.model_copy(update={"scenario": "cold", "max_seconds": 1e-3})
    for where in (device(), HERE):
        (found,) = measure({"m": subject(model, where, files=files)}, settings).values()
        assert isinstance(found, Measurement), found
        assert found.detail["evicted"] == [True]


def test_agents_at_once_share_one_connection(device: Make, server: Server, tmp_path: Path) -> None:
    board, model = device(), models.save_product(tmp_path / "m.onnx")
    board.ready()
    with ThreadPoolExecutor(3) as threads:
        agents = list(threads.map(lambda _: Agent(device=board), range(3)))
    for agent in agents:
        agent.load(model, models.profile().providers, 1)
    assert len(server.sessions()) == 1
    for agent in agents:
        agent.close()


def test_a_server_that_shares_nothing_is_connected_to_again(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(tmp_path_factory.mktemp("few"), "MaxSessions 1")
    try:
        with server.device(python=str(save_claim(tmp_path / "python"))) as board:
            assert Path(board.bring([Path(__file__)])).read_bytes() == Path(__file__).read_bytes()
            assert len(server.sessions()) == 1
        assert wait_for(lambda: not server.sessions(), 10)
    finally:
        server.close()


def test_threads_and_cores_are_those_that_are_asked_for(device: Make, tmp_path: Path, mark: str) -> None:
    core = min(os.sched_getaffinity(0))
    script = tmp_path / "told.py"
    script.write_text(
        "import json, os\ninput()\ncores = sorted(os.sched_getaffinity(0))\n"
        "print(json.dumps({'cores': cores, 'environment': dict(os.environ)}))\n"
    )
    conditions = Conditions(environment={mark: "a 'b' $C"}, cores=str(core))
    with device(conditions=conditions) as board, Agent(3, board, script=script) as agent:
        told = agent.info()
    assert told["cores"] == [core] and told["environment"][mark] == "a 'b' $C"
    assert told["environment"]["OMP_NUM_THREADS"] == "3" and told["environment"].get("LC_ALL") != "C.UTF-8"


# What cannot be reached -----------------------------------------------------------------------------------------------


def refused(device: Ssh, message: str) -> str:
    with pytest.raises(UnavailableError, match=message) as caught:
        device.command(1, Path(__file__))
    assert "\n    Try: " in str(caught.value)
    return str(caught.value)


def test_an_unknown_host_key(light: Make, server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    said = refused(light(known_hosts=tmp_path / "empty"), "host key of ssh://.* must be known, got one that is not")
    assert f"ssh -p {server.port} -i {server.identity}" in said and f"{server.user}@127.0.0.1" in said
    assert (tmp_path / "empty").read_text() == "", "nothing is taken on trust"


def test_another_host_key(light: Make, server: Server, tmp_path: Path) -> None:
    other = save_key(tmp_path / "other").with_suffix(".pub").read_text()
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {other}")
    said = refused(light(known_hosts=known), "host key of ssh://.* must be the one that is known, got another")
    forget = said.partition("if the change is meant, ")[2].partition(" and connect once")[0]
    assert forget == f"ssh-keygen -f {known} -R '[127.0.0.1]:{server.port}'"
    subprocess.run(["sh", "-c", forget], check=True, capture_output=True)
    assert known.read_text() == ""


def test_another_user_s_key(light: Make, tmp_path: Path) -> None:
    refused(light(identity=save_key(tmp_path / "other")), "must let this user in by key, got: permission denied")


def test_nobody_listens(light: Make) -> None:
    refused(light(port=free_port()), "must run an ssh server, got: connection refused")


def test_a_host_without_an_address(tmp_path: Path) -> None:
    refused(Ssh("me@no-such-host.invalid"), "the host of ssh://me@no-such-host.invalid must have an address, got none")


@pytest.mark.parametrize(("silent", "message"), [(True, "must answer, got silence"), (False, "must hold, got: kex_ex")])
def test_a_port_of_something_else(silent: bool, message: str, light: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while connection.recv(999) and silent:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        refused(light(port=listening.getsockname()[1]), message)
        thread.join()


def test_no_ssh_here(light: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ssh, "SSH", str(tmp_path / "ssh"))
    refused(light(), "ssh must be installed, got: ")


def test_no_interpreter_there_is_told_each_time(device: Make) -> None:
    board = device(python="/no/python")
    for _ in range(2):
        refused(board, "must have the interpreter '/no/python', got: .*not found(?s:.*)python: PATH")
    with pytest.raises(MeasureError, match="must have the interpreter"):
        Agent(device=board)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("mkdir: cannot create directory '/x': Permission denied", 1, "must carry out what is asked, got: mkdir: .*"),
        ("cat: write error: Disk quota exceeded", 1, "the disk of board must have room, got: disk quota exceeded"),
        ("touch: cannot touch 'x': Read-only file system", 1, "the disk of board must be written to, got: read-only"),
        ("me@host: Permission denied (publickey).", 255, "board must let this user in by key, got: permission denied"),
        ("connect to host x port 22: No route to host", 255, "board must be reachable, got: no route to host"),
        ("kex_exchange_identification: reset", 255, "the connection to board must hold, got: kex_exchange"),
        ('unix_listener: path "/x" too long for Unix domain socket', 255, "socket must be shorter(?s:.*)TMPDIR=/tmp"),
    ],
)
def test_words_of_ssh_are_told_from_those_of_the_shell_there(words: str, code: int, message: str) -> None:
    with pytest.raises(UnavailableError, match=message):
        raise Ssh("me@host", label="board")._failed(words, code)


# Files ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_twice(light: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    model = models.save_product(tmp_path / "m.onnx", outside="weights/m.bin")
    files, sent = [model, tmp_path / "weights" / "m.bin"], []
    real = Ssh.send
    monkeypatch.setattr(Ssh, "send", lambda self, file, place: sent.append(file.name) or real(self, file, place))
    board = light()
    place = Path(board.bring(files))
    assert sent == ["m.onnx", "m.bin"] and place.read_bytes() == model.read_bytes()
    assert (place.parent / "weights/m.bin").read_bytes() == files[1].read_bytes()
    assert board.bring(files) == str(place)
    board.close()
    assert board.bring(files) == light().bring(files) == str(place) and len(sent) == 2


def test_a_folder_at_home(light: Make) -> None:
    name = f".edgesft-test-{secrets.token_hex(4)}"
    board = light(folder=f"~/{name}")
    try:
        assert board.bring([Path(__file__)]).startswith(f"{name}/sets/")
        assert (Path(board.shell("pwd").strip()) / name / "blobs").is_dir()
    finally:
        board.shell(f"rm -rf {name}")


def test_old_files_are_removed_when_it_is_opened(light: Make, tmp_path: Path) -> None:
    board = light()
    place = Path(board.bring([Path(__file__)]))
    board.shell(f"touch -d '40 days ago' {place} {place.parent}")
    board.close()
    other = Path(board.bring([Path(os.__file__)]))
    assert not place.parent.exists() and other.is_file() and len(list((tmp_path / "there/blobs").iterdir())) == 1


@pytest.mark.parametrize("known", [True, False], ids=["seen before", "seen while it is sent"])
def test_a_full_disk(known: bool, light: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() != 0:
        pytest.skip("only root mounts a small disk")
    there, model = tmp_path / "there", tmp_path / "m.onnx"
    there.mkdir()
    model.write_bytes(os.urandom(2**20 * 3))
    board = light()
    # The server sees its own file systems: nobody else has this one.
    board._start()
    try:
        board.shell(f"mount -t tmpfs -o size=2m tmpfs {there}")
    except UnavailableError as error:
        pytest.skip(str(error))
    try:
        board.open()
        if not known:
            monkeypatch.setattr(Ssh, "_require_room", lambda *_: None)
        message = r"disk .* must have 4\.2 MB free .* got 2\.\d MB" if known else "must have room, got: no space left"
        with pytest.raises(UnavailableError, match=message):
            board.bring([model])
        assert board.shell(f"ls {there}/blobs {there}/sets").split() == [f"{there}/blobs:", f"{there}/sets:"]
        with Agent(device=board) as agent, pytest.raises(MeasureError, match=message):
            subject(model, board).begin(agent)
    finally:
        board.shell(f"umount {there}")


# A connection that is lost --------------------------------------------------------------------------------------------


def cut(server: Server, device: Ssh, end: str) -> None:
    if end == "there":
        server.drop()
    else:
        assert device._master is not None
        device._master.kill()


@pytest.mark.parametrize("end", ["there", "here"])
def test_a_connection_that_is_lost_between_rounds(end: str, device: Make, server: Server, tmp_path: Path) -> None:
    model, board, rounds = models.save_product(tmp_path / "m.onnx"), device(label="board"), []

    def stop(rows: Any) -> bool:
        rounds.append(dict(rows))
        if len(rounds) == 2:
            cut(server, board, end)
        return len(rounds) == 4

    found = measure({"there": subject(model, board), "here": subject(model, HERE)}, QUICK, stop=stop)
    lost, kept = found["there"], found["here"]
    assert isinstance(lost, MeasureError) and "the connection to board was lost" in str(lost), lost
    assert isinstance(kept, Measurement) and len(kept.rounds) == 4
    assert [set(rows) for rows in rounds] == [{"there", "here"}] * 2 + [{"here"}] * 2


@pytest.mark.parametrize("end", ["there", "here"])
def test_a_connection_that_is_lost_in_an_inference(
    end: str, device: Make, server: Server, tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless, model = models.save_endless(tmp_path / "endless.onnx"), models.save_product(tmp_path / "m.onnx")
    board, real = device(label="board"), Agent.first

    def first(agent: Agent) -> int:
        if agent._device is board:
            threading.Timer(0.3, cut, [server, board, end]).start()
        return real(agent)

    monkeypatch.setattr(Agent, "first", first)
    found = measure({"there": subject(endless, board), "here": subject(model, HERE)}, QUICK)
    assert isinstance(found["there"], MeasureError) and isinstance(found["here"], Measurement)
    assert "died in 'first' (the connection to board was lost)" in str(found["there"])
    assert wait_for(lambda: not marked(mark), 5), "the agent there ends with the connection"


def test_a_connection_that_was_lost_is_opened_again(light: Make, server: Server) -> None:
    board = light()
    first = board.bring([Path(__file__)])
    server.drop()
    assert board._master is not None and board._master.wait(10) != 0
    assert board.bring([Path(__file__)]) == first


def test_an_agent_that_is_given_up_ends_there(device: Make, tmp_path: Path, mark: str) -> None:
    board = device()
    with Agent(device=board, timeout_seconds=30) as agent:
        agent.load(models.save_endless(tmp_path / "endless.onnx"), models.profile().providers, 1)
        agent.request({"x": np.ones(1, np.float32)})
        agent._timeout = 0.5
        with pytest.raises(MeasureError, match="did not answer 'first' within 0.5 s"):
            agent.first()
    assert board._master is not None and board._master.poll() is None
    assert wait_for(lambda: not marked(mark), 5), "it would slow down what is measured next"


def test_an_agent_that_the_system_there_kills_is_no_lost_connection(device: Make, mark: str) -> None:
    with Agent(device=device()) as agent:
        agent.info()
        for pid in marked(mark):
            if b"agent.py" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1]:
                kill(pid)
        with pytest.raises(MeasureError, match=r"died in 'info' \(killed by signal 9\)"):
            agent.info()


def test_it_may_be_closed_twice_and_used_again(light: Make) -> None:
    board = light()
    board.close()
    first = board.bring([Path(__file__)])
    master = board._master
    board.close()
    board.close()
    assert master is not None and master.poll() is not None
    assert board.bring([Path(__file__)]) == first


def test_a_connection_ends_with_who_opened_it(light: Make, server: Server, tmp_path: Path) -> None:
    python = save_claim(tmp_path / "claim")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom edgesft.measure.devices.ssh import Ssh\n"
        f"device = Ssh({light().host!r}, port={server.port}, identity=Path({str(server.identity)!r}), "
        f"known_hosts=Path({str(server.known)!r}), python={str(python)!r}, folder={str(tmp_path / 'there')!r})\n"
        "device.ready()\nprint(device._master.pid, device._socket.parent, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            master, folder = process.stdout.readline().decode().split()
            assert Path(f"/proc/{master}").exists()
        finally:
            process.kill()
    assert wait_for(lambda: not Path(f"/proc/{master}").exists(), 5)
    shutil.rmtree(folder)  # nobody was left who could


# What it lacks --------------------------------------------------------------------------------------------------------


def bare(path: Path) -> Path:
    """This interpreter without its packages."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    path.chmod(0o755)
    return path


def test_an_interpreter_without_a_runtime_is_brought_one(
    device: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [save_wheel(tmp_path, name) for name in wheels.PACKAGES]
    monkeypatch.setattr(wheels, "fetch", lambda *_, of: found)
    script = tmp_path / "told.py"
    script.write_text(
        "import json\nimport numpy, onnxruntime\ninput()\n"
        "print(json.dumps({'versions': [numpy.__version__, onnxruntime.__version__]}))\n"
    )
    for _ in range(2):
        with device(python=str(bare(tmp_path / "python"))) as board, Agent(device=board, script=script) as agent:
            assert agent.info() == {"versions": ["9.9", "9.9"]}


def test_a_machine_without_wheels(light: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = save_claim(tmp_path / "other", onnxruntime=None, machine="riscv64", libc="")
    refused(light(python=str(python), label="board"), "board must have numpy and onnxruntime, .* got riscv64 without")


@pytest.mark.slow
def test_a_whole_measurement_with_wheels_that_pip_fetches(
    device: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    venv.create(tmp_path / "bare", with_pip=False)
    model = models.save_product(tmp_path / "m.onnx")
    with device(python=str(tmp_path / "bare/bin/python")) as board:
        (found,) = measure({"m": subject(model, board)}, QUICK).values()
    if "pip must fetch" in str(found):
        pytest.skip(f"there is no index of packages here: {found}")
    assert isinstance(found, Measurement), found
